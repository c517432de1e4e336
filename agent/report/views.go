package report

// Views lists the other systems' shapes.
func Views() []string { return []string{"zoom", "agora", "volc", "trtc"} }
