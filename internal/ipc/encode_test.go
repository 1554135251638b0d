package ipc

import (
	"encoding"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// messages are all that the programs exchange.
func messages(t testing.TB) []any {
	full := sample(t, job.BuildScript)
	ref, err := image.ParseReference("registry.example.com/a/b:1")
	if err != nil {
		t.Fatal(err)
	}
	full.Settings.Container = &Container{
		Container: settings.Container{TempDir: full.Account.Home, ServicesNetwork: "private", CacheForm: "overlay"}, Mechanism: "podman", Image: &image.Request{Reference: ref, Entrypoint: []string{}},
		Modules:    []Module{{settings.Module{Name: "gpu", Binds: []settings.Bind{{Source: full.Account.Home, Target: full.Account.Home, ReadOnly: true}}}, []string{"--nv"}}},
		Registries: []Registry{{"https://a.example.com", "u", []byte("p\xff")}}, AuthConfig: []byte{},
	}
	return []any{
		Request{},
		full,
		Hello{PID: 2, Processes: 1 << 63},
		Condemned{PIDs: []int{1, -1}},
		Result{Kind: "build", Code: 7, Reason: "<ä>", Dirs: full.Dirs, Left: []Leftover{{"/a", "b"}}},
		Note{Batch: &BatchNote{System: "Slurm", ID: "7", Phase: Ended, Waited: 1.5, CPU: 2, Peak: 3}},
		Note{Disk: &DiskNote{Bytes: 1 << 62, Partial: true}},
	}
}

// TestEncoding: a message is the same after its way. A request has every type of the
// other messages.
func TestEncoding(t *testing.T) {
	for _, m := range messages(t)[1:] {
		got := reflect.New(reflect.TypeOf(m))
		if err := decode(encoded(t, m), got.Interface()); err != nil {
			t.Errorf("%T: %v", m, err)
			continue
		}
		if diff := cmp.Diff(m, got.Elem().Interface(), exported, cmpopts.EquateEmpty(), cmp.AllowUnexported(image.Reference{})); diff != "" {
			t.Error(diff)
		}
	}
}

// TestEncodingOfNone: what is nil stays nil, also of a type that has a textual form.
func TestEncodingOfNone(t *testing.T) {
	type message struct {
		Path  *job.AbsPath
		Text  []byte
		Words []string
		After int
	}
	home := sample(t, job.BuildScript).Account.Home
	for _, want := range []message{{After: 1}, {&home, []byte{}, []string{}, 2}, {&home, []byte("a"), []string{"", "b"}, 3}} {
		var got message
		if err := decode(encoded(t, want), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
}

// TestIntegerThatIsTooLarge for its type is refused.
func TestIntegerThatIsTooLarge(t *testing.T) {
	for n, want := range map[uint64]bool{1<<32 - 1: true, 1 << 32: false} {
		var got struct{ N uint32 }
		if err := decode(encoded(t, struct{ N uint64 }{n}), &got); (err == nil) != want || want && uint64(got.N) != n {
			t.Errorf("%d: %d, %v", n, got.N, err)
		}
	}
}

// TestEveryTypeHasAnEncoding visits all types that a message can contain, also those that
// no sample has.
func TestEveryTypeHasAnEncoding(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(of reflect.Type) {
		if seen[of] {
			return
		}
		seen[of] = true
		text, err := encode(reflect.Zero(of).Interface())
		if err != nil {
			t.Errorf("%v: %v", of, err)
		}
		if err := decode(text, reflect.New(of).Interface()); err != nil && strings.Contains(err.Error(), "encoding") {
			t.Errorf("%v: %v", of, err)
		}
		switch _, isText := reflect.Zero(of).Interface().(encoding.TextMarshaler); {
		case isText && of.Kind() != reflect.Pointer:
		case of == reflect.TypeFor[[]byte]():
		case of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer:
			visit(of.Elem())
		case of.Kind() == reflect.Struct:
			for i := range of.NumField() {
				visit(of.Field(i).Type)
			}
		}
	}
	for _, m := range messages(t) {
		visit(reflect.TypeOf(m))
	}
	if len(seen) < 40 {
		t.Errorf("only %d types", len(seen))
	}
}

// TestDamagedMessages: changed and shortened bytes are refused or decoded, without a
// panic and without memory beyond what the bytes justify.
func TestDamagedMessages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, m := range messages(t) {
		sound := encoded(t, m)
		for n := range len(sound) {
			if err := decode(sound[:n], reflect.New(reflect.TypeOf(m)).Interface()); err == nil {
				t.Errorf("%T: %d of %d bytes are accepted", m, n, len(sound))
			}
		}
		for range 2000 {
			damaged := append([]byte{}, sound...)
			for range 1 + random.IntN(3) {
				damaged[random.IntN(len(damaged))] = byte(random.IntN(256))
			}
			_ = decode(damaged, reflect.New(reflect.TypeOf(m)).Interface())
		}
	}
}

func FuzzDecode(f *testing.F) {
	all := messages(f)
	for i, m := range all {
		f.Add(byte(i), encoded(f, m))
	}
	f.Fuzz(func(t *testing.T, which byte, text []byte) {
		m := reflect.New(reflect.TypeOf(all[int(which)%len(all)]))
		if decode(text, m.Interface()) != nil {
			return
		}
		again := reflect.New(m.Elem().Type())
		if err := decode(encoded(t, m.Elem().Interface()), again.Interface()); err != nil {
			t.Errorf("%+v: %v", m.Elem(), err)
		}
	})
}
