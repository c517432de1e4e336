package cgitest

// login answers the actions of both login families, and says whether the
// action was one of them.
func (e *Endpoint) login(req request, snap Snapshot) (reply, bool) {
	switch req.action {
	case "WEB_GetLoginInfo":
		return e.loginInfo(), true
	case "WEB_RequestSessionIDAPI":
		return e.requestSession(req, snap, e.family.api), true
	case "Web_RequestSessionID":
		return e.requestSession(req, snap, e.family.web), true
	case "WEB_RequestCertificateAPI":
		return e.requestCertificate(req, e.family.api), true
	case "Web_RequestCertificate":
		return e.requestCertificate(req, e.family.web && req.browser), true
	case "WEB_ChangeSessionIDAPI":
		return e.changeSession(req, e.family.api), true
	case "WEB_ChangeSessionID":
		return e.changeSession(req, e.family.web), true
	case "WEB_LogoutAPI", "WEB_Logout":
		return e.logout(req), true
	}
	return reply{}, false
}

func (e *Endpoint) loginInfo() reply {
	if e.family.model == "" {
		return reply{body: e.family.success(map[string]any{"ucTerType": 0, "ucCustomType": 0})}
	}
	person := 0
	if e.world.script.login == "person" {
		person = 1
	}
	return reply{body: e.family.success(map[string]any{"szTermType": e.family.model, "AlreadyLogin": person})}
}

// requestSession hands out an id unless the table is full or the firmware is
// being upgraded, as the vendor documents.
func (e *Endpoint) requestSession(req request, snap Snapshot, offered bool) reply {
	switch {
	case !offered:
		return reply{body: e.family.failure(failShape)}
	case snap.Call == Upgrading:
		return reply{body: e.family.failure(failGeneric)}
	case e.world.script.login == "full" || len(e.sessions.byID) >= e.opts.Sessions:
		return reply{body: e.family.failure(failFull)}
	}
	one := e.sessions.open(req.now, uint64(e.opts.Seed), e.family.idLen)
	data := map[string]any{"acSessionId": " ", "szTermType": e.family.model}
	if e.family.idInBody {
		data["acSessionId"] = one.id
		return reply{body: e.family.success(data)}
	}
	return reply{cookie: one.id, body: e.family.success(data)}
}

// requestCertificate checks user and password. A locked account refuses the
// right password too, with the same words.
func (e *Endpoint) requestCertificate(req request, offered bool) reply {
	one := e.sessions.byID[req.id]
	switch {
	case !offered:
		return reply{body: e.family.failure(failShape)}
	case one == nil:
		return e.lost()
	case !e.accept(req):
		return reply{body: e.family.failure(failAuth)}
	}
	one.loggedIn, one.seen = true, req.now
	if !e.family.token {
		return reply{body: e.family.success("")}
	}
	one.token = e.sessions.fresh(uint64(e.opts.Seed), 32)
	return reply{body: e.family.success(map[string]any{"acCSRFToken": one.token})}
}

func (e *Endpoint) accept(req request) bool {
	login := e.world.script.login
	if login == "locked" || req.now.Before(e.sessions.locked) {
		return false
	}
	right := e.opts.Username == "" || req.body.User == e.opts.Username && req.body.Password == e.opts.Password
	if right && login != "wrong" {
		e.sessions.failed = 0
		return true
	}
	if e.sessions.failed++; e.sessions.failed >= lockAfter {
		e.sessions.failed, e.sessions.locked = 0, req.now.Add(lockTime)
	}
	return false
}

// changeSession swaps the id for a fresh one, or refuses where the family has
// no such action.
func (e *Endpoint) changeSession(req request, offered bool) reply {
	one := e.sessions.byID[req.id]
	if one == nil || !one.loggedIn {
		return e.lost()
	}
	if !offered || e.family.change == "refused" {
		return reply{body: e.family.failure(failGeneric)}
	}
	e.sessions.rename(one, uint64(e.opts.Seed), e.family.idLen)
	if e.family.change == "body" {
		return reply{body: e.family.success(map[string]any{"acSessionId": one.id})}
	}
	return reply{cookie: one.id, body: e.family.success("")}
}

func (e *Endpoint) logout(req request) reply {
	one := e.sessions.byID[req.id]
	if one == nil || e.family.token && req.body.Token != one.token {
		return reply{body: e.family.failure(failLogout)}
	}
	delete(e.sessions.byID, one.id)
	return reply{body: e.family.success("")}
}
