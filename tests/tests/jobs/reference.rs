//! The pages about settings say what the declarations say.

use std::path::Path;

use flare::__private::reference::{page, sections};

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The page holds every connector, so it is only made with all features.
#[cfg(all(feature = "kafka", feature = "mysql", feature = "postgres"))]
#[test]
fn the_reference_is_up_to_date() {
    let file = workspace().join("docs/settings.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, page()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page(), "docs/settings.md is out of date; run this test with UPDATE=1");
}

/// What an attribute takes has the name of a setting, and each setting is on the attribute's page.
#[test]
fn every_setting_is_an_argument_of_its_attribute() {
    assert!(page().starts_with("# Settings"));
    let pages = [
        ("job", "", "flare_job"),
        ("source.NAME", "kafka", "kafka"),
        ("sink.NAME", "kafka", "kafka"),
        ("source.NAME", "files", "files"),
        ("sink.NAME", "files", "files"),
        ("sink.NAME", "jdbc", "jdbc"),
        ("source.NAME", "generator", "generator"),
        ("lookup.NAME", "jdbc", "async_lookup"),
        ("lookup.NAME", "", "async_lookup"),
        ("lookup.NAME.cache", "", "async_lookup"),
        ("lookup.NAME.retry", "", "async_lookup"),
    ];
    for (title, connector, attribute) in pages {
        let page =
            std::fs::read_to_string(workspace().join(format!("flare/src/docs/{attribute}.md"))).unwrap();
        let wanted = |section: &&_| matches(section, title, connector);
        for setting in sections().iter().filter(wanted).flat_map(|section| section.settings) {
            let named = page.contains(&format!("`{}`", setting.name));
            assert!(named, "`{}` of [{title}] is not on the page of #[{attribute}]", setting.name);
        }
    }
}

fn matches(section: &flare::__private::reference::SectionReference, title: &str, connector: &str) -> bool {
    section.title == title && section.connector == connector
}
