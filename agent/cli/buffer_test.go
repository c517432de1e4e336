package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomcall/agent/config"
	"roomcall/agent/health"
	"roomcall/agent/run"
	"roomcall/buffer"
)

func TestDamagedFilesKeptAsideAreCounted(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"seg-0000000000000001.db", "seg-0000000000000001.db.corrupt-20260131T080000Z", "seg-0000000000000001.db.corrupt-20260131T080000Z-2"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	info := run.StoreInfoOf(buffer.Info{Dir: dir})
	if info.DamagedFiles != 2 || run.StoreInfoOf(buffer.Info{Dir: t.TempDir()}).DamagedFiles != 0 {
		t.Errorf("counts %d", info.DamagedFiles)
	}
	var out strings.Builder
	if err := writeInfo(&out, info, time.Now()); err != nil || !strings.Contains(out.String(), "2 files kept for examination") {
		t.Errorf("err %v:\n%s", err, out.String())
	}
	c := checker{app: &app{stdout: &out}}
	if c.try(t.Context(), "store", func(context.Context) (string, error) {
		return c.store(&config.Config{Agent: config.Agent{DataDir: dir}}, health.Status{})
	}); c.stages[0].Result != stageWarn || !strings.Contains(c.stages[0].Detail, "2 damaged files") {
		t.Errorf("check says %+v", c.stages)
	}
}

func TestALossThatNobodyCanCountIsNotCalledNone(t *testing.T) {
	for _, c := range []struct {
		damage buffer.Damage
		want   string
	}{
		{buffer.Damage{Salvaged: 1, Reset: true}, "1 records salvaged, how many are lost is not known"},
		{buffer.Damage{Salvaged: 1, Lost: 4, Reset: true}, "1 records salvaged, at least 4 lost"},
		{buffer.Damage{Salvaged: 2, Lost: 4}, "2 records salvaged, 4 lost"},
		{buffer.Damage{Salvaged: 2}, "2 records salvaged, 0 lost"},
	} {
		var out strings.Builder
		info := run.StoreInfoOf(buffer.Info{Dir: t.TempDir(), Damage: []buffer.Damage{c.damage}})
		if err := writeInfo(&out, info, time.Now()); err != nil || !strings.Contains(out.String(), c.want+"\n") {
			t.Errorf("err %v, want %q:\n%s", err, c.want, out.String())
		}
	}
}
