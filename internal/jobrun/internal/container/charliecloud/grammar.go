package charliecloud

import "jacamar-ci/internal/jobrun/internal/scheduler"

// Options of ch-run(1) in the versions 0.31 to 0.38. Reserved ones are set here, or belong
// to another way of starting.
const (
	reservedFlags  = `help/? usage version/V write/w write-fake/W private-tmp/t no-passwd unsafe join/j no-home home abort-fatal test`
	reservedValues = `cd/c uid/u gid/g mount/m storage/s join-ct join-pid join-tag`
	flags          = `ch-ssh env-no-expand verbose/v quiet/q seccomp warnings`
	values         = `bind/b unset-env feature`
	optional       = `set-env set-env0`
)

// Grammar implements container.Engine.
func (Charliecloud) Grammar() (g scheduler.Grammar) {
	g.Reserve(scheduler.Optional, reservedFlags)
	g.Reserve(scheduler.Required, reservedValues)
	g.Add(scheduler.Optional, flags)
	g.Add(scheduler.Optional, optional)
	g.Add(scheduler.Required, values)
	return g
}
