package dds

import "os"

// longTier is true in make qualify.
func longTier() bool { return os.Getenv("ROBOWARDEN_TIER") == "qualify" }
