package executor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/internal/proctree"
)

// runnersOwn are the scripts that the runner writes alone: the job's author has no
// command in them. See RunStages in GitLab Runner's executors/custom. get_sources is not
// one of them: it has hooks:pre_get_sources_script.
var runnersOwn = []job.SubStage{
	"restore_cache", "download_artifacts", "archive_cache", "archive_cache_on_failure",
	"upload_artifacts_on_success", "upload_artifacts_on_failure", "cleanup_file_variables",
}

// maxSaved bounds what is kept of a login, in bytes.
const maxSaved = 1 << 20

// share lets the runner's own scripts of a job do with one login. The first script needs
// none. The second one, or the first one that finds nothing, keeps what its login leaves.
func (p *Profiles) share(b ipc.Request) {
	if b.SubStage == firstScript {
		p.Read = loginshell.None
		return
	}
	own := slices.Contains(runnersOwn, b.SubStage)
	if !own && b.SubStage != secondScript {
		return
	}
	file := savedLogin{file: ownFile(b.Dirs, loginshell.SavedFile), account: b.Account.UID, host: hostID()}
	if own {
		p.Saved = file.read()
	}
	if p.Saved == nil {
		p.Save = file.write
	}
}

// ownFile is a file of the job's own directory.
func ownFile(d ipc.Dirs, name string) safedir.FileBelow {
	return safedir.NewFileBelow(d.Base, d.Scripts, name)
}

// hostID identifies the running system: what was saved on another host, or before it was
// started again, is not used.
func hostID() string {
	host, _ := os.Hostname()
	return host + "/" + proctree.Boot()
}

// savedLogin is the file with what a login of the job has left. Only the job's account
// can write it. The job's own processes can, which changes what that job's later scripts
// have, and nothing else.
type savedLogin struct {
	file    safedir.FileBelow
	account job.UID
	host    string
}

// header is the first line of the file.
func (s savedLogin) header(size int) string {
	return fmt.Sprintf("jacamar login 1, uid %d on %q, %d bytes\n", s.account, s.host, size)
}

// read returns what is kept. It returns nil for a file that is missing, incomplete, or
// not what write makes.
func (s savedLogin) read() []byte {
	file, err := s.file.Open(unix.O_RDONLY)
	if err != nil {
		return nil
	}
	defer file.Close()
	var st unix.Stat_t
	if err := eintr.Fstat(int(file.Fd()), &st); err != nil || !s.mayHave(st) {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(file, 2*maxSaved))
	if err != nil {
		return nil
	}
	first, saved, _ := bytes.Cut(text, []byte("\n"))
	if string(first)+"\n" != s.header(len(saved)) || !loginshell.IsWhole(saved) {
		return nil
	}
	return saved
}

// mayHave reports whether the file is one that only the account can have written.
func (s savedLogin) mayHave(st unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o7777 == 0o600 && st.Nlink == 1 && st.Uid == uint32(s.account)
}

// write keeps what a login has left. A failure costs the later scripts a login.
func (s savedLogin) write(saved []byte) {
	if len(saved) > maxSaved || !loginshell.IsWhole(saved) {
		return
	}
	file, err := s.file.Create()
	if errors.Is(err, unix.EEXIST) {
		s.file.Remove() // of an earlier attempt, or one that could not be used
		file, err = s.file.Create()
	}
	if err != nil {
		return
	}
	_, err = file.WriteString(s.header(len(saved)) + string(saved))
	if cerr := file.Close(); err != nil || cerr != nil {
		s.file.Remove()
	}
}
