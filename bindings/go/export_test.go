package wtgram

// VersionNumber does almost nothing, so a call costs little more than the crossing into C and back.
func VersionNumber() uint32 { return versionNumber() }
