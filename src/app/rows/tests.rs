//! Filters, orders and the tree, over rows made by hand.

use std::cmp::Ordering;

use super::compare;
use crate::app::filter::Cell;

#[test]
fn what_is_unknown_stands_last_in_either_direction() {
    let (known, unknown) = (Cell::Number(1.0), Cell::Unknown);
    for descending in [false, true] {
        assert_eq!(compare(&known, &unknown, descending), Ordering::Less);
        assert_eq!(compare(&unknown, &known, descending), Ordering::Greater);
    }
    assert_eq!(compare(&Cell::Number(1.0), &Cell::Number(2.0), true), Ordering::Greater);
}
