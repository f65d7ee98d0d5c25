package wtgram

// VersionNumber does almost nothing, so a call costs little more than the crossing into C and back.
func VersionNumber() uint32 { return versionNumber() }

// BroadcastWhile calls meanwhile when the library has sent the broadcast and Broadcast has not yet updated its list of
// members.
func (b *Broadcaster) BroadcastWhile(data []byte, meanwhile func()) ([]BroadcastResult, error) {
	_, results, removed, err := b.send(data, SendOptions{})
	meanwhile()
	b.forget(removed)
	return results, err
}

// Kept returns how many members the broadcaster keeps from being garbage collected.
func (b *Broadcaster) Kept() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.members)
}
