//! A job run from code does not depend on the folder that the program was started in; alone in its process, since it
//! changes that folder.

use flare::Runner;

#[test]
fn reads_no_configuration_that_was_not_named() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("flare.toml"), "[job]\nparallelism = \"many\"\n").expect("writes");
    std::env::set_current_dir(folder.path()).expect("changes the folder");
    let run = Runner::described("alone", |job| {
        job.values("one", vec![1]).for_each(|_| {});
        Ok(())
    });
    run.run_blocking().expect("the file is not read");
}
