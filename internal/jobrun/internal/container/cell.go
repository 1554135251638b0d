package container

import "jacamar-ci/internal/cell"

// Cell is cell.Cell for commands with an environment.
type Cell cell.Cell

// Programs are those that the cell itself needs.
func (c Cell) Programs() []string { return cell.Cell(c).Programs() }

// Helpers are the names of processes of the cell that a request to stop must not end.
func (c Cell) Helpers() []string { return cell.Cell(c).Helpers() }

// Wrap returns the command that runs inner in the cell.
func (c Cell) Wrap(inner Command) Command {
	return Command{Argv: cell.Cell(c).Argv(inner.Argv), Env: inner.Env}
}
