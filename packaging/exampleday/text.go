package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

func utc(ms int64, layout string) string { return time.UnixMilli(ms).UTC().Format(layout) }

func hours(s int64) string   { return fmt.Sprintf("%.1f", float64(s)/3600) }
func minutes(s int64) string { return fmt.Sprintf("%.1f min", float64(s)/60) }

func percent(part, all int64) float64 {
	if all == 0 {
		return 0
	}
	return 100 * float64(part) / float64(all)
}

// cell keeps a room's name from breaking the table.
func cell(s string) string { return strings.NewReplacer("|", "/", "\n", " ").Replace(s) }

// words puts a reason such as "video_recv_loss" into words.
func words(reason string) string {
	part := strings.Split(reason, "_")
	if len(part) != 3 {
		return cell(reason)
	}
	way := map[string]string{"send": "sent", "recv": "received"}[part[1]]
	media := map[string]string{"audio": "audio", "video": "video", "aux": "content"}[part[0]]
	return fmt.Sprintf("%s of %s %s", part[2], way, media)
}

// where counts, by what the received streams show, where the problem is.
func where(scopes map[string]int) string {
	text := map[string]string{"far_end": "far end", "own_access": "own access"}
	var list []string
	for _, s := range slices.Sorted(maps.Keys(scopes)) {
		list = append(list, fmt.Sprintf("%s %d", text[s], scopes[s]))
	}
	return strings.Join(list, ", ")
}
