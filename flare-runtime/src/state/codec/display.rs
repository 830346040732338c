//! Prints a shape on one line.

use std::fmt::{self, Write};

use super::shape::{Id, Node, Scalar, Shape, Variant};

/// So many parts are printed; a part that is used twice is printed twice, so a small shape can be a long text.
const MAX_PARTS: usize = 500;
const MAX_DEPTH: usize = 64;

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(0))
    }
}

impl Shape {
    /// A part of the shape, printed like a whole one.
    pub(crate) fn describe(&self, id: Id) -> String {
        let mut printer = Printer { shape: self, text: String::new(), open: Vec::new(), parts: MAX_PARTS };
        // Writing to a `String` cannot fail.
        let _ = printer.print(id);
        printer.text
    }
}

struct Printer<'a> {
    shape: &'a Shape,
    text: String,
    /// The parts being printed, outermost first, and whether they came again inside.
    open: Vec<(Id, bool)>,
    parts: usize,
}

impl Printer<'_> {
    fn print(&mut self, id: Id) -> fmt::Result {
        if let Some((_, again)) = self.open.iter_mut().find(|(open, _)| *open == id) {
            *again = true;
            return write!(self.text, "#{id}");
        }
        if self.parts == 0 || self.open.len() > MAX_DEPTH {
            return self.text.write_str("…");
        }
        self.parts -= 1;
        let start = self.text.len();
        self.open.push((id, false));
        self.container(self.shape.node(id))?;
        if let Some((_, true)) = self.open.pop() {
            self.text.insert_str(start, &format!("#{id} "));
        }
        Ok(())
    }

    fn container(&mut self, node: &Node) -> fmt::Result {
        match node {
            Node::Scalar(scalar) => self.text.write_str(scalar.name()),
            Node::Option(inner) => {
                self.print(*inner)?;
                self.text.write_char('?')
            }
            Node::Seq(element) => self.list("[", "]", [*element], |_, _| Ok(())),
            Node::Map(key, value) => {
                self.text.write_str("map(")?;
                self.print(*key)?;
                self.text.write_str(": ")?;
                self.print(*value)?;
                self.text.write_char(')')
            }
            Node::Tuple(items) => self.list("(", ")", items.iter().copied(), |_, _| Ok(())),
            Node::Struct(fields) if fields.is_empty() => self.text.write_str("{}"),
            Node::Struct(fields) => {
                let nodes = fields.iter().map(|field| field.node);
                self.list("{ ", " }", nodes, |text, index| {
                    write!(text, "{}: ", fields[index].name.escape_debug())
                })
            }
            Node::Enum(variants) => self.variants(variants),
        }
    }

    fn list(
        &mut self,
        open: &str,
        close: &str,
        items: impl IntoIterator<Item = Id>,
        label: impl Fn(&mut String, usize) -> fmt::Result,
    ) -> fmt::Result {
        self.text.write_str(open)?;
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.text.write_str(", ")?;
            }
            if self.parts == 0 {
                self.text.write_str("…")?;
                break;
            }
            label(&mut self.text, index)?;
            self.print(item)?;
        }
        self.text.write_str(close)
    }

    fn variants(&mut self, variants: &[Variant]) -> fmt::Result {
        self.text.write_str("<")?;
        for (index, variant) in variants.iter().enumerate() {
            if index > 0 {
                self.text.write_str(" | ")?;
            }
            if self.parts == 0 {
                self.text.write_str("…")?;
                break;
            }
            write!(self.text, "{}", variant.label().escape_debug())?;
            match self.shape.node(variant.node) {
                Node::Scalar(Scalar::Unit) => self.parts -= 1,
                Node::Tuple(_) => self.print(variant.node)?,
                Node::Struct(_) => {
                    self.text.write_char(' ')?;
                    self.print(variant.node)?;
                }
                _ => {
                    self.text.write_char('(')?;
                    self.print(variant.node)?;
                    self.text.write_char(')')?;
                }
            }
        }
        self.text.write_str(">")
    }
}

impl Scalar {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Bool => "bool",
            Self::Char => "char",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::I128 => "i128",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::U128 => "u128",
        }
    }
}
