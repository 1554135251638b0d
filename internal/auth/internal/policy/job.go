package policy

import "slices"

func enforceNologin(m input) Step {
	switch {
	case !m.rules.Nologin:
		return skip(EnforceNologin, "not set")
	case m.facts.LoginsOff:
		return deny(EnforceNologin, "logins are switched off by /etc/nologin or /run/nologin")
	}
	return ok(EnforceNologin, "logins are not switched off")
}

func pipelineSource(m input) Step {
	source, allow := m.id.Pipeline.Source, m.rules.PipelineSource
	switch {
	case !allow.Set:
		return skip(PipelineSource, "not set")
	case slices.Contains(allow.Entries, source):
		return ok(PipelineSource, "%q is in the list", source)
	}
	return deny(PipelineSource, "%q is not in the list", source)
}

func projectBlocked(m input) Step {
	project, block := m.id.Project.Path, m.rules.ProjectBlock
	if len(block) == 0 {
		return skip(ProjectBlock, "not set")
	}
	if g, found := firstMatch(block, project); found {
		return deny(ProjectBlock, "%q matches %q", project, g)
	}
	return ok(ProjectBlock, "%q matches no entry", project)
}

func projectAllowed(m input) Step {
	project, allow := m.id.Project.Path, m.rules.ProjectAllow
	if !allow.Set {
		return skip(ProjectAllow, "not set")
	}
	if g, found := firstMatch(allow.Entries, project); found {
		return ok(ProjectAllow, "%q matches %q", project, g)
	}
	return deny(ProjectAllow, "%q matches no entry", project)
}

func firstMatch(list []Glob, project string) (Glob, bool) {
	i := slices.IndexFunc(list, func(g Glob) bool { return g.Match(project) })
	if i < 0 {
		return Glob{}, false
	}
	return list[i], true
}

func protectedRefs(m input) Step {
	switch {
	case !m.rules.ProtectedRefs:
		return skip(ProtectedRefs, "not set")
	case m.id.Ref.Protected:
		return ok(ProtectedRefs, "%q is protected", m.id.Ref.Name)
	}
	return deny(ProtectedRefs, "%q is not protected", m.id.Ref.Name)
}
