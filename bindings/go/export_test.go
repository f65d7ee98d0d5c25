package wtgram

// VersionNumber is as good as nothing to do: what a call of it takes is the crossing into C and back.
func VersionNumber() uint32 { return versionNumber() }
