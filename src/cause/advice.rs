//! What each cause means and what mends it.
