//! How often each word has come so far.
//!
//! `cargo run --example word_count`

use flare::prelude::*;

/// A line of text.
#[generator(with = Line::number, count = 4)]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// The text.
    pub text: String,
}

impl Line {
    fn number(n: u64) -> Self {
        let lines = ["To be, or not to be", "that is the question", "whether it is nobler", "to suffer"];
        Self { text: lines[n as usize % lines.len()].to_owned() }
    }
}

/// A word and its count.
#[files(path = "output/words.jsonl", mode = "overwrite")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WordCount {
    /// The word, in lower case.
    pub word: String,
    /// How often it came.
    pub count: u64,
}

fn words(line: Line) -> Vec<String> {
    let words = line.text.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[flare_job(parallelism = 2)]
fn word_count(job: &mut Job) -> Result<()> {
    let words = job.source::<Line>()?.flat_map(words);
    let counts = words.key_by(|word| word.clone()).count();
    counts.map(|(word, count)| WordCount { word, count }).sink::<WordCount>()
}

flare::main!(config = "word_count/flare.toml");

#[cfg(test)]
mod tests {
    use flare::test::{Crash, FlareTest, MockSource};

    use super::*;

    #[test]
    fn counts_each_word_as_it_comes() -> Result<()> {
        let mut test = FlareTest::job("word-count");
        let line = |text: &str| Line { text: text.to_owned() };
        test.source(MockSource::of([line("To be, or"), line("not to be")]));
        let out = test.sink::<WordCount>();
        test.run()?;
        let count = |word: &str, count| WordCount { word: word.to_owned(), count };
        let all =
            [count("to", 1), count("be", 1), count("or", 1), count("not", 1), count("to", 2), count("be", 2)];
        out.assert_by_key(|count| count.word.clone(), all);
        Ok(())
    }

    #[test]
    fn counts_no_word_twice_after_a_crash() -> Result<()> {
        let mut test = FlareTest::job("word-count");
        test.source(MockSource::of(["so", "so", "so"].map(|text| Line { text: text.to_owned() })));
        let out = test.sink::<WordCount>();
        // The third line comes behind the second checkpoint, and comes again.
        test.checkpoint_every(1);
        test.crash(Crash::in_sink(3).parallelism(4));
        test.run()?;
        out.assert_eq([1, 2, 3].map(|count| WordCount { word: "so".to_owned(), count }));
        Ok(())
    }
}
