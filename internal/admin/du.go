package admin

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"jacamar-ci/internal/admin/status"
)

// occupied is the last known size of the build directories of one account and project.
// Its JSON form is an interface: fields are never removed or changed.
type occupied struct {
	Account     string    `json:"account"`
	Project     string    `json:"project"`
	Directories int       `json:"directories"`
	Bytes       int64     `json:"disk_bytes"`
	Files       int64     `json:"disk_files"`
	Partial     bool      `json:"disk_partial,omitempty"` // at least one was not measured to its end
	Measured    time.Time `json:"measured"`               // the oldest of them
}

// DU prints the last known sizes of build directories by account and project, the largest
// first: what the cleanup of the last job in each directory has measured. It opens no
// directory of a user.
func DU(w io.Writer, js Journals, since time.Duration, asJSON bool, now time.Time) error {
	in, err := js.input(Filter{Since: since}, now)
	if err != nil {
		return err
	}
	list := sizes(status.Ended(in.Past))
	if asJSON {
		return writeJSON(w, list)
	}
	var rows [][]string
	for _, o := range list {
		size := status.Bytes(o.Bytes)
		if o.Partial {
			size = ">" + size
		}
		rows = append(rows, []string{o.Account, o.Project, size, strconv.FormatInt(o.Files, 10), strconv.Itoa(o.Directories), status.Duration(now.Sub(o.Measured))})
	}
	return table(w, []string{"ACCOUNT", "PROJECT", "DISK", "FILES", "DIRECTORIES", "MEASURED-AGO"}, rows)
}

// sizes adds up the newest size of each directory. The jobs begin with the newest.
func sizes(ended []status.Job) []*occupied {
	type place struct{ host, account, directory string }
	type owner struct{ account, project string }
	seen, of := map[place]bool{}, map[owner]*occupied{}
	for _, j := range ended {
		at := place{j.Host, j.Account, j.Directory}
		if j.Directory == "" || j.Disk == 0 || seen[at] {
			continue
		}
		seen[at] = true
		o := of[owner{j.Account, j.Project}]
		if o == nil {
			o = &occupied{Account: j.Account, Project: j.Project}
			of[owner{j.Account, j.Project}] = o
		}
		o.Directories++
		o.Bytes, o.Files, o.Partial, o.Measured = o.Bytes+j.Disk, o.Files+j.Files, o.Partial || j.Partial, j.Last
	}
	return slices.SortedFunc(maps.Values(of), func(a, b *occupied) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Project, b.Project))
	})
}
