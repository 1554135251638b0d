// Package ipc is the conversation between jacamar-auth and jacamar: one
// connected Unix stream socket, which is the standard input of jacamar.
//
//	jacamar-auth → jacamar   brief (one), script (one, run stages only), then terminate (any number)
//	jacamar → jacamar-auth   hello (one, once it has the brief), result (one), then the end of the stream
//
// A jacamar that is to end processes as the account (Brief.Reap) is sent kill
// instead, any number, and answers each with done.
//
// The socket is the lifeline as well: when jacamar reads the end of the stream
// before it has sent its result, jacamar-auth is gone and the job must end.
//
// A frame is a type byte, a length (32 bit, big endian) and that many bytes.
// Every type has a limit, and a reader refuses a frame before reading it.
package ipc
