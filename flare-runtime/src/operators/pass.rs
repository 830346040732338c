//! The pass of a batch through a stage's fused operators to its outputs.

use async_trait::async_trait;

use super::Step;
use crate::api::{Consumer, StageContext};
use crate::error::Result;
use crate::model::{Batch, Control, Meta};

macro_rules! pass_on {
    ($($field:ident),+) => {
        fn control(&mut self, control: Control, cx: &mut StageContext) -> Result<()> {
            $(self.$field.control(control, cx)?;)+
            Ok(())
        }

        fn flush(&mut self) {
            $(self.$field.flush();)+
        }

        fn is_buffering(&self) -> bool {
            $(self.$field.is_buffering())||+
        }

        fn is_blocked(&self) -> bool {
            $(self.$field.is_blocked())||+
        }
    };
}

/// Fused operators in front of a consumer.
pub struct Pass<S: Step> {
    step: S,
    next: Box<dyn Consumer<S::Out>>,
}

impl<S: Step> Pass<S> {
    /// Runs `step` and gives what comes out to `next`.
    pub fn new(step: S, next: Box<dyn Consumer<S::Out>>) -> Self {
        Self { step, next }
    }
}

#[async_trait]
impl<S: Step> Consumer<S::In> for Pass<S> {
    fn batch(&mut self, batch: Batch<S::In>, cx: &mut StageContext) -> Result<()> {
        let mut out = Batch::with_capacity(batch.len());
        let step = &mut self.step;
        cx.guard(|cx| {
            if batch.metas.is_empty() {
                cx.current = Meta::NONE;
                for item in batch.items {
                    step.run(item, cx, &mut |item, _| out.items.push(item));
                }
            } else {
                for (item, meta) in batch.items.into_iter().zip(batch.metas) {
                    cx.current = meta;
                    step.run(item, cx, &mut |item, _| {
                        out.items.push(item);
                        out.metas.push(meta);
                    });
                }
            }
        })?;
        if out.is_empty() { Ok(()) } else { self.next.batch(out, cx) }
    }

    pass_on!(next);

    async fn unblock(&mut self) -> Result<()> {
        self.next.unblock().await
    }
}

/// The end of a stream in a function of the user.
pub struct ForEach<S, F> {
    step: S,
    function: F,
}

impl<S, F> ForEach<S, F> {
    /// Calls `function` with everything that comes out of `step`.
    pub fn new(step: S, function: F) -> Self {
        Self { step, function }
    }
}

#[async_trait]
impl<S: Step, F: FnMut(S::Out) + Send> Consumer<S::In> for ForEach<S, F> {
    fn batch(&mut self, batch: Batch<S::In>, cx: &mut StageContext) -> Result<()> {
        let Self { step, function } = self;
        cx.guard(|cx| {
            if batch.metas.is_empty() {
                cx.current = Meta::NONE;
                for item in batch.items {
                    step.run(item, cx, &mut |item, cx| {
                        cx.blame(S::LENGTH, || function(item));
                    });
                }
            } else {
                for (item, meta) in batch.items.into_iter().zip(batch.metas) {
                    cx.current = meta;
                    step.run(item, cx, &mut |item, cx| {
                        cx.blame(S::LENGTH, || function(item));
                    });
                }
            }
        })
    }

    fn control(&mut self, _control: Control, _cx: &mut StageContext) -> Result<()> {
        Ok(())
    }

    fn flush(&mut self) {}

    fn is_buffering(&self) -> bool {
        false
    }

    fn is_blocked(&self) -> bool {
        false
    }

    async fn unblock(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Where a record goes at a side output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed<M, S> {
    /// On in the main stream.
    Main(M),
    /// Into the side output.
    Side(S),
}

/// Parts a stream in two by a function of the user.
pub struct Split<S, F, M, Side> {
    step: S,
    function: F,
    main: Box<dyn Consumer<M>>,
    side: Box<dyn Consumer<Side>>,
}

impl<S, F, M, Side> Split<S, F, M, Side> {
    /// Gives what comes out of `step` to `main` or `side` as `function` says.
    pub fn new(step: S, function: F, main: Box<dyn Consumer<M>>, side: Box<dyn Consumer<Side>>) -> Self {
        Self { step, function, main, side }
    }
}

#[async_trait]
impl<S, F, M, Side> Consumer<S::In> for Split<S, F, M, Side>
where
    S: Step,
    F: FnMut(S::Out) -> Routed<M, Side> + Send,
    M: Send + 'static,
    Side: Send + 'static,
{
    fn batch(&mut self, batch: Batch<S::In>, cx: &mut StageContext) -> Result<()> {
        let (mut main, mut side) = (Batch::default(), Batch::default());
        let Self { step, function, .. } = self;
        cx.guard(|cx| {
            for (item, meta) in batch.into_records() {
                cx.current = meta;
                step.run(item, cx, &mut |item, cx| match cx.blame(S::LENGTH, || function(item)) {
                    Routed::Main(item) => main.push(item, meta),
                    Routed::Side(item) => side.push(item, meta),
                });
            }
        })?;
        if !main.is_empty() {
            self.main.batch(main, cx)?;
        }
        if !side.is_empty() {
            self.side.batch(side, cx)?;
        }
        Ok(())
    }

    pass_on!(main, side);

    async fn unblock(&mut self) -> Result<()> {
        self.main.unblock().await?;
        self.side.unblock().await
    }
}
