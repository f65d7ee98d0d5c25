//! `include/wtgram.h` is what cbindgen writes for the sources today, sorted into chapters. `make
//! header` writes it.

mod chapters;
mod items;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use chapters::{CHAPTERS, Chapter, Intro};
use items::Item;

const BANNER_WIDTH: usize = 98;

#[test]
fn the_checked_in_header_is_current() {
    let path = root().join("include/wtgram.h");
    let made = header();
    if std::env::var_os("WTGRAM_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("include/ can be made");
        std::fs::write(&path, made).expect("the header can be written");
        return;
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == made, "include/wtgram.h is stale: run `make header`");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The items of all files of the chapters, as cbindgen writes them.
fn items() -> Vec<Item> {
    let config =
        cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml can be read");
    // cbindgen reads only the C interface, so that no item of the core can get into the header.
    let files: BTreeSet<_> = CHAPTERS.iter().flat_map(|chapter| chapter.files).collect();
    let builder = files
        .iter()
        .fold(cbindgen::Builder::new(), |builder, file| builder.with_src(root().join("src/ffi").join(file)));
    let bindings = builder.with_config(config).generate().expect("cbindgen can read the sources");
    let mut made = Vec::new();
    bindings.write(&mut made);
    items::split(&String::from_utf8(made).expect("the header is UTF-8"))
}

fn header() -> String {
    let mut items = items();
    let mut body = String::new();
    let mut contents = Vec::new();
    for (index, chapter) in CHAPTERS.iter().enumerate() {
        chapter_to(&mut body, &mut contents, index + 1, chapter, &mut items);
    }
    let left: Vec<_> = items.iter().map(|item| &item.name).collect();
    assert!(left.is_empty(), "in no chapter: {left:?}");
    let top = include_str!("top.h.in").replace("@CONTENTS@", &contents.join("\n"));
    format!("{top}\n{body}#ifdef __cplusplus\n}} // extern \"C\"\n#endif\n\n#endif // WTGRAM_H\n")
}

fn chapter_to(
    body: &mut String,
    contents: &mut Vec<String>,
    number: usize,
    chapter: &Chapter,
    items: &mut Vec<Item>,
) {
    let intro = chapter.intro(root());
    contents.push(format!(" *     {number:2}. {}", intro.title));
    let rule = "=".repeat(BANNER_WIDTH - 6);
    let title = format!("{number}. {}", intro.title);
    let _ = write!(body, "/* {rule} *\n * {title:<width$} *\n * {rule} */\n\n", width = BANNER_WIDTH - 6);
    let _ = write!(
        body,
        "/**\n * @defgroup {} {}\n{} * @{{\n */\n\n",
        chapter.group,
        intro.title,
        lines(&intro.text)
    );
    for file in chapter.files {
        let source =
            std::fs::read_to_string(root().join("src/ffi").join(file)).expect("a source can be read");
        let mut own: Vec<(usize, Item)> = Vec::new();
        items.retain(|item| {
            let place = item.place_in(&source);
            place.inspect(|place| own.push((*place, item.clone()))).is_none()
        });
        own.sort_by_key(|(place, item)| item.after_what_it_calls(*place, &source));
        let section = chapter.is_section(file).then(|| Intro::of(&source, file));
        if let Some(Intro { title, text }) = &section {
            let _ = write!(body, "/**\n * @name {title}\n{} * @{{\n */\n\n", lines(text));
        }
        for (_, item) in own {
            body.push_str(&item.text);
            body.push_str("\n\n");
        }
        if section.is_some() {
            body.push_str("/** @} */\n\n");
        }
    }
    body.push_str("/** @} */\n\n");
}

/// Turns a text into lines of a comment.
fn lines(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "{}", format!(" * {line}").trim_end());
        all
    })
}

#[test]
fn every_struct_that_can_grow_has_its_three_initializers() {
    let names: Vec<_> = items().into_iter().map(|item| (item.name, item.text)).collect();
    let has = |wanted: &str| names.iter().any(|(name, _)| name == wanted);
    let growing = names.iter().filter(|(_, text)| text.contains("size_t struct_size;"));
    let growing: Vec<_> = growing.collect();
    assert!(growing.len() > 20);
    for (name, _) in growing {
        assert!(has(&format!("{name}_init")) && has(&format!("{name}_init_sized")), "{name}");
    }
}

/// An enum that no declaration names is in the header only if `cbindgen.toml` lists it.
#[test]
fn every_name_in_a_comment_is_declared() {
    let header = header();
    let (mut code, mut comments) = (String::new(), String::new());
    for (index, part) in header.split("/*").enumerate() {
        let (comment, rest) = if index == 0 { ("", part) } else { part.split_once("*/").expect("it ends") };
        comments.push_str(comment);
        code.push_str(rest);
    }
    let names = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let ours = words.filter(|word| word.starts_with("wtgram_") || word.starts_with("WTGRAM_"));
        ours.map(str::to_owned).collect()
    };
    let mut declared = names(&code);
    declared.insert("WTGRAM_UNKNOWN_STATUS".into()); // a text that a function returns
    let unknown: Vec<_> = names(&comments).into_iter().filter(|name| !declared.contains(name)).collect();
    assert_eq!(unknown, [] as [&str; 0]);
}
