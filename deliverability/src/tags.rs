//! The classes of a product or the zones of a location: a small sorted set of tags.

use crate::{Invalid, Tag};

/// Most tags of one object: each is looked up in every decision about it.
pub const MAX_TAGS: usize = 16;

/// At most 16 different tags, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tags(Box<[Tag]>);

impl Tags {
    /// Checks each tag, sorts them and drops duplicates.
    pub fn parse(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Invalid> {
        let mut tags = Vec::new();
        for text in texts {
            let tag = Tag::parse(text.as_ref())?;
            if let Err(place) = tags.binary_search(&tag) {
                if tags.len() == MAX_TAGS {
                    return Err(Invalid::new(format!("must be at most {MAX_TAGS} different tags")));
                }
                tags.insert(place, tag);
            }
        }
        Ok(Self(tags.into_boxed_slice()))
    }

    /// The tags, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Tag> {
        self.0.iter()
    }

    /// Whether there is no tag.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_sorted_and_different() {
        let tags = Tags::parse(["remote", "eu", "remote"]).unwrap();
        assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["eu", "remote"]);
        assert_eq!(tags, Tags::parse(["eu", "remote"]).unwrap());
    }

    #[test]
    fn duplicates_do_not_count_towards_the_limit() {
        let sixteen: Vec<String> = (0..MAX_TAGS).map(|n| format!("t{n}")).collect();
        assert!(Tags::parse(sixteen.iter().chain(&sixteen)).is_ok());
        assert!(Tags::parse(sixteen.iter().map(String::as_str).chain(["one-more"])).is_err());
    }

    #[test]
    fn one_bad_tag_spoils_the_set() {
        assert!(Tags::parse(["eu", "EU"]).is_err());
    }
}
