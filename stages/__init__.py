"""One click command per DVC stage: load, call the library, save."""
