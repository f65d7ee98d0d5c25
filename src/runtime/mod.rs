//! Lanes, logging, shutdown and what others wait on.
