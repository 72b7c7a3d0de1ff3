//! The measures, called as the engine calls them.

mod formulas;
mod garbage;
mod versions;
mod window;
