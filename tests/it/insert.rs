//! INSERT: what becomes of every row, for each table that can be written (design.md 3.3).

mod conversions;
mod evidence;
mod evidence_faults;
mod faults;
mod large_cells;
mod places;
mod rejects;
mod rows;
mod stops;
