package executor

import (
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/imagestore"
)

// session is the call of the engine for the script.
func (c Contained) session(state *imagestore.State) container.Session {
	return container.Session{State: state.Path(), Account: c.Engine.hostAccount(), Program: c.Engine.Program, Linked: true}
}

// writeSupervisor writes the program that runs the job's services, where it has some.
func (c Contained) writeSupervisor(state *imagestore.State) error {
	if c.Settled.Services == nil {
		return nil
	}
	return state.Write(container.ServicesFile, []byte(c.Settled.Services.Supervisor(c.Engine, c.session(state))))
}
