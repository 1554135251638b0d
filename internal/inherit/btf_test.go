package inherit

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
)

// kernelFields returns the members of the running kernel's structures, by their
// names, from its own description of its types
// (https://docs.kernel.org/bpf/btf.html).
func kernelFields(structures ...string) (map[string][]string, error) {
	text, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		return nil, err
	}
	types, err := parseBTF(text)
	if err != nil {
		return nil, err
	}
	fields := map[string][]string{}
	for _, name := range structures {
		for _, t := range types {
			if t.kind == btfStruct && t.name == name && len(t.members) > 0 {
				fields[name] = members(types, t)
			}
		}
	}
	return fields, nil
}

const (
	btfStruct = 4
	btfMagic  = 0xeb9f
)

type btfType struct {
	kind    int
	name    string
	members []btfMember
}

type btfMember struct {
	name  string
	inner uint32
}

// extra is what follows a type after its head: bytes, and bytes for each member.
var extra = map[int][2]int{1: {4, 0}, 3: {12, 0}, 4: {0, 12}, 5: {0, 12}, 6: {0, 8}, 13: {0, 8}, 14: {4, 0}, 15: {0, 12}, 17: {4, 0}, 19: {0, 12}}

func parseBTF(b []byte) ([]btfType, error) {
	order := binary.NativeEndian
	if len(b) < 24 || order.Uint16(b) != btfMagic {
		return nil, errors.New("this is no BTF")
	}
	head, at := order.Uint32(b[4:]), func(n int) uint32 { return order.Uint32(b[n:]) }
	typed, names := b[head+at(8):head+at(8)+at(12)], b[head+at(16):]
	name := func(offset uint32) string {
		text, _, _ := strings.Cut(string(names[offset:min(int(offset)+128, len(names))]), "\x00")
		return text
	}
	types := []btfType{{}}
	for len(typed) >= 12 {
		info := order.Uint32(typed[4:])
		t, count := btfType{kind: int(info >> 24 & 0x1f), name: name(order.Uint32(typed))}, int(info&0xffff)
		typed = typed[12:]
		if t.kind == btfStruct || t.kind == btfStruct+1 {
			for m := range count {
				t.members = append(t.members, btfMember{name(order.Uint32(typed[12*m:])), order.Uint32(typed[12*m+4:])})
			}
		}
		typed = typed[extra[t.kind][0]+count*extra[t.kind][1]:]
		types = append(types, t)
	}
	return types, nil
}

// members are those of a structure and of what is nested in it without a name.
func members(types []btfType, t btfType) (names []string) {
	for _, m := range t.members {
		if m.name == "" {
			names = append(names, members(types, types[m.inner])...)
			continue
		}
		names = append(names, m.name)
	}
	return names
}
