//! Nothing to import: the tests live in `it/`, one binary, and the emulator in `emulator/`.
