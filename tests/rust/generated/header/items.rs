//! The items that cbindgen writes.

/// The maximum width of a comment.
const WIDTH: usize = 100;

/// A definition or declaration with its comment.
#[derive(Clone)]
pub struct Item {
    pub name: String,
    pub text: String,
}

impl Item {
    /// Where the Rust source defines it.
    pub fn place_in(&self, source: &str) -> Option<usize> {
        ["struct", "enum", "type", "const", "fn"].iter().find_map(|word| {
            let found = source.find(&format!("pub {word} {}", self.name));
            let found = found.or_else(|| source.find(&format!("extern \"C\" {word} {}", self.name)))?;
            let after = source[found..].split_once(&self.name)?.1.chars().next()?;
            let whole = !after.is_alphanumeric() && after != '_';
            whole.then_some(found).or_else(|| self.place_of_function(source))
        })
    }

    /// The order in a file. An inline `_init` comes after the `_init_sized` that it calls.
    pub fn after_what_it_calls(&self, place: usize, source: &str) -> (usize, bool) {
        let sized = source.find(&format!("extern \"C\" fn {}_sized(", self.name));
        (sized.unwrap_or(place), sized.is_some())
    }

    /// Whether the function's name is a prefix of another function's name, which then comes later.
    fn place_of_function(&self, source: &str) -> Option<usize> {
        source.find(&format!("extern \"C\" fn {}(", self.name))
    }
}

/// The items of a header, each once: cbindgen writes files twice that others declare as modules.
pub fn split(header: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for block in header.split("\n\n") {
        let text = short_comments(&without_safety_note(block.trim_matches('\n')));
        if text.is_empty() || text.starts_with("#include") {
            continue;
        }
        let name = name(&text).unwrap_or_else(|| panic!("not understood: {text}"));
        if items.iter().any(|item| item.name == name) {
            continue;
        }
        items.push(Item { text: initializer(&name, &text).unwrap_or(text), name });
    }
    items
}

/// The lines of a block without its comment.
fn code(text: &str) -> String {
    let after = text.rfind("*/\n").filter(|_| text.starts_with("/**") && !text.contains('{'));
    after.map_or_else(|| text.to_owned(), |at| text[at + 3..].to_owned())
}

fn name(text: &str) -> Option<String> {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let code = code(text);
    let lines: Vec<_> = code.lines().collect();
    if let Some(define) = lines.iter().find_map(|line| line.strip_prefix("#define ")) {
        return define.split(' ').next().map(str::to_owned);
    }
    if let Some(end) = lines.iter().find_map(|line| line.strip_prefix("} ")) {
        return end.strip_suffix(';').map(str::to_owned);
    }
    if let Some((_, after)) = code.split_once("(*wtgram_") {
        return Some(format!("wtgram_{}", after.split(|it| !is_name(it)).next()?));
    }
    let before = code.split('(').next()?;
    before.rsplit(|it| !is_name(it)).next().filter(|name| name.starts_with("wtgram_")).map(str::to_owned)
}

/// The `_init` function of a struct is a function of the header, so that it knows the size which
/// the program was compiled with. (The library exports one of this name, too, for the size of the
/// first version.)
fn initializer(name: &str, text: &str) -> Option<String> {
    let class = name.strip_suffix("_init")?;
    let declaration = text.lines().last()?;
    let parameter = declaration.strip_suffix(");")?.rsplit('*').next()?;
    let comment = text.strip_suffix(declaration)?;
    Some(format!(
        "{comment}static inline void {name}({class} *{parameter})\n{{\n  {name}_sized({parameter}, sizeof *{parameter});\n}}"
    ))
}

/// Comments of one line take one line.
fn short_comments(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if let [open, line, close] = lines[at..(at + 3).min(lines.len())]
            && open.trim() == "/**"
            && close.trim() == "*/"
            && line.len() + 4 <= WIDTH
        {
            out.push(format!("{open} {} */", line.trim().trim_start_matches("* ")));
            at += 3;
        } else {
            out.push(lines[at].to_owned());
            at += 1;
        }
    }
    out.join("\n")
}

/// The `# Safety` sections speak to readers of Rust; in C every pointer is as its description says.
fn without_safety_note(block: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut in_note = false;
    for line in block.lines() {
        match line.trim() {
            "* # Safety" => {
                in_note = true;
                if kept.last().is_some_and(|last| last.trim() == "*") {
                    kept.pop();
                }
            }
            "*/" => in_note = false,
            _ => {}
        }
        if !in_note {
            kept.push(line);
        }
    }
    kept.join("\n")
}
