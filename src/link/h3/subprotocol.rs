//! Subprotocols: the client offers a list, and the server picks one of it or none
//! (draft-ietf-webtrans-http3 section 3.3). Both are structured fields (RFC 9651).

use sfv::{BareItem, Item, List, ListEntry, Parser, StringRef};

use super::connect::joined;
use crate::error::{Error, Result};

/// The client's list, in its order of preference: a List of Strings.
pub(crate) const AVAILABLE: &str = "wt-available-protocols";
/// The server's choice: an Item that is a String.
pub(crate) const CHOSEN: &str = "wt-protocol";

/// The value of [`AVAILABLE`]; `None` for an empty list. The error says what is wrong with a name.
pub fn available(names: &[String]) -> Result<Option<String>> {
    let mut list = sfv::ListSerializer::new();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            let what = format!("the subprotocol {name:?} occurs twice");
            return Err(Error::InvalidArgument(what.into()));
        }
        let _ = list.bare_item(checked(name)?);
    }
    Ok(list.finish())
}

/// The value of [`CHOSEN`].
pub(crate) fn chosen(name: &str) -> Result<String> {
    Ok(sfv::ItemSerializer::new().bare_item(checked(name)?).finish())
}

fn checked(name: &str) -> Result<&StringRef> {
    match StringRef::from_str(name) {
        Ok(text) if !name.is_empty() => Ok(text),
        _ => {
            let what = format!("a subprotocol is printable ASCII and not empty, unlike {name:?}");
            Err(Error::InvalidArgument(what.into()))
        }
    }
}

/// The names that a client offers in its request. A field that is not a List of Strings counts as
/// absent, as the draft says.
pub(crate) fn offered(headers: &[(String, String)]) -> Vec<String> {
    // RFC 9651 section 4.2: all values of the field are one list.
    let value = joined(headers, AVAILABLE);
    let Ok(list) = Parser::new(&value).parse::<List>() else { return Vec::new() };
    let names = list.into_iter().map(|member| match member {
        ListEntry::Item(Item { bare_item: BareItem::String(name), .. }) => Some(name.as_str().to_owned()),
        _ => None,
    });
    names.collect::<Option<_>>().unwrap_or_default()
}

/// The name that a server chose in its response; `None` if there is none.
pub(crate) fn answered(headers: &[(String, String)]) -> Option<String> {
    match Parser::new(&joined(headers, CHOSEN)).parse::<Item>().ok()?.bare_item {
        BareItem::String(name) => Some(name.as_str().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn field(name: &str, values: &[&str]) -> Vec<(String, String)> {
        values.iter().map(|value| (name.to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_a_client_offers_is_what_a_server_reads() {
        let offer = names(&["chat-v2", "a \"quoted\\ one", "chat"]);
        let value = available(&offer).unwrap().unwrap();
        assert_eq!(value, r#""chat-v2", "a \"quoted\\ one", "chat""#);
        assert_eq!(offered(&field(AVAILABLE, &[&value])), offer);
        assert_eq!(available(&[]), Ok(None));
    }

    #[test]
    fn what_a_server_chooses_is_what_a_client_reads() {
        let value = chosen("chat \"v2\"").unwrap();
        assert_eq!(answered(&field(CHOSEN, &[&value])), Some("chat \"v2\"".into()));
        assert_eq!(answered(&[]), None);
    }

    #[test]
    fn a_list_may_be_split_over_several_fields_and_its_parameters_mean_nothing() {
        let fields = field(AVAILABLE, &[r#""a";q=1, "b""#, r#""c""#]);
        assert_eq!(offered(&fields), names(&["a", "b", "c"]));
        assert_eq!(answered(&field(CHOSEN, &[r#""a";x"#])), Some("a".into()));
    }

    #[test]
    fn fields_of_another_type_count_as_absent() {
        for value in ["chat", r#""a", b"#, r#"("a" "b")"#, r#""a","#, "1", "\"\u{e4}\"", ""] {
            assert_eq!(offered(&field(AVAILABLE, &[value])), names(&[]), "{value}");
            assert_eq!(answered(&field(CHOSEN, &[value])), None, "{value}");
        }
        assert_eq!(answered(&field(CHOSEN, &[r#""a""#, r#""b""#])), None);
    }

    #[test]
    fn names_that_no_field_can_hold_are_refused() {
        for name in ["", "gr\u{fc}n", "a\nb"] {
            assert!(matches!(available(&names(&[name])), Err(Error::InvalidArgument(_))), "{name}");
            assert!(matches!(chosen(name), Err(Error::InvalidArgument(_))), "{name}");
        }
        assert!(matches!(available(&names(&["a", "b", "a"])), Err(Error::InvalidArgument(_))));
    }
}
