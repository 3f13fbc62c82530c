//! Which program this is, and of which release: a figure that is always 1, for its labels.

use std::fmt;

use super::{Collector, DescriptorEncoder, Registry, gauges};

/// A program's name and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// Such as "product".
    pub program: &'static str,
    /// Such as "0.1.0".
    pub version: &'static str,
}

// === impl Build ===

impl Build {
    /// Puts it on the page.
    pub fn register(self, registry: &mut Registry) {
        registry.register_collector(Box::new(self));
    }
}

impl Collector for Build {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let labels = [("program", self.program), ("version", self.version)];
        gauges(&mut encoder, "build_info", "1, for its labels: which program, which release", [(labels, 1)])
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::{page, registry};

    use super::*;

    #[test]
    fn the_page_says_which_program_of_which_release_it_is_of() {
        let mut registry = registry();
        Build { program: "product", version: "0.1.0" }.register(&mut registry);
        let page = page(&registry).unwrap();
        let line = "\ncandeliver_build_info{program=\"product\",version=\"0.1.0\"} 1\n";
        assert!(page.contains(line), "{page}");
    }
}
