/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers and prunes on one repository without locks; prune.md tells the story
 * and names the steps (W1.., P1..) that stand here. Checked by
 * tests/model/prune.t.
 *
 * One chunk stands for all: every snapshot needs it, the pack FIRST holds it
 * at the beginning, and a writer that may not build upon a pack stores a copy
 * in a pack of its own. So the whole question is whether a copy is left, and
 * known to the index, for as long as a snapshot needs one.
 *
 * What is not here is here all the same:
 *   - a crash: a process that takes no further step. Whatever the others do
 *     then is one of the runs that are searched, so every process may crash
 *     between any two steps;
 *   - a suspended process that resumes: the same, with further steps later;
 *   - the lease: a prune may give any session up at any time, however alive;
 *   - the grace: 0;
 *   - the rule that a second prune stops: there is none, both run at once, and
 *     each may have been suspended for any time between any two steps.
 *
 * A step is what one request to the store does, or less. Reading an object
 * that another one puts again and again (the checkpoints, which are joined;
 * the lists) is one step, as readers read again what changed under them.
 *
 * -DWRITERS=1, -DPRUNES=1: fewer of them. -DBREAK_...: leaves a step out or
 * does it at another time; then there has to be a counterexample.
 *
 * -DCALM: no session is given up, shows a sign of life or is late, the store is
 * never full, and each prune removes the one snapshot that its number names.
 * That is for a step of which two writers and two prunes are needed to see what
 * it is good for: with all of the above their runs are too many for a search.
 *
 * -DSHARES: a session may end without a snapshot when it has stored its packs,
 * and another one build upon these.
 */

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef PRUNES
#define PRUNES 2
#endif

/* Bits. Snapshot 0 and pack 0 are there at the beginning; 1 and 2 are those of
 * the writers, and so are the sessions. */
#define BIT(n) (1 << (n))
#define FIRST 1
#define ALL 7

byte packs = FIRST;  /* that are stored */
byte index = FIRST;  /* that index objects name */
byte snapshots = 1;  /* that are stored */
byte sessions;       /* objects of sessions */
byte marks;          /* of sessions that are being given up */
byte heeds[3];       /* by session: lists, as bits */
byte lists[2];        /* condemned packs; 0: no such object */

/* The checkpoints, joined. */
byte kept = 1;
byte removed;
byte expired;

/* What nobody in the repository knows. */
byte reported;  /* snapshots that their writers reported as made */
byte unwanted;  /* snapshots that somebody decided to remove */

/* What counts by a checkpoint (k, r, e). Session n makes snapshot n. */
#define COUNTING(s, k, r, e) ((s) & ~(r) & ~((e) & ~(k)))

/* A copy is there and can be found. */
#define AVAILABLE ((packs & index) != 0)

/* No snapshot that counts lacks the chunk; none that was reported is lost,
 * unless somebody wanted it to go. */
#define SAFE                                                                   \
	((COUNTING(snapshots, kept, removed, expired) == 0 || AVAILABLE) &&    \
	    (reported & ~unwanted &                                            \
		~COUNTING(snapshots, kept, removed, expired)) == 0)

/* ---- a backup ---- */

proctype writer(byte self)
{
	byte bad, heeded, found;

	/* W1 */
	atomic { sessions = sessions | BIT(self) }
	/* W2: the lists, then what is stated, then the index, then which
	 * packs are there */
#ifdef BREAK_LISTS_FIRST
	bad = 0; heeded = 0;
#else
	d_step {
		bad = lists[0] | lists[1];
		heeded = (lists[0] != 0) | ((lists[1] != 0) << 1)
	}
#endif
	heeds[self] = heeded;
#ifdef BREAK_BUILD_UPON
	bad = 0;
#endif
	found = index;
#ifdef BREAK_GHOSTS
	found = found & ~bad;
#else
	found = found & packs & ~bad;
#endif
	/* W3 */
	if
	:: found != 0 /* a copy that need not be stored */
	:: found == 0 ->
		packs = packs | BIT(self);
		index = index | BIT(self)
	fi;
#ifdef SHARES
	/* A share has stored what it read, and makes no snapshot. The other
	 * one leads: it may read the index at any time after its lists. */
	if
	:: goto end
	:: skip
	fi;
#endif
#ifndef CALM
	/* A sign of life: looks, then puts the object again */
	if
	:: (marks & BIT(self)) || !(sessions & BIT(self)) -> goto end
	:: else ->
		if
		:: atomic { sessions = sessions | BIT(self) }
		:: skip
		fi
	fi;
#endif
	/* W4 */
	if
	:: (marks & BIT(self)) || !(sessions & BIT(self)) -> goto end
	:: else
	fi;
#ifndef BREAK_LOOK_CHECKPOINT
	if
	:: expired & BIT(self) -> goto end
	:: else
	fi;
#endif
	/* W5 */
	atomic {
		snapshots = snapshots | BIT(self);
		assert(SAFE)
	}
	/* W6 */
#ifndef BREAK_LOOK_AFTER
#ifndef BREAK_LOOK_MARK
	if
	:: (marks & BIT(self)) || !(sessions & BIT(self)) -> goto end
	:: else
	fi;
#endif
#ifndef BREAK_LOOK_CHECKPOINT
	if
	:: expired & BIT(self) -> goto end
	:: else
	fi;
#endif
#endif
	atomic {
		reported = reported | BIT(self);
		assert(SAFE)
	}
end:	/* W7 */
	atomic {
		sessions = sessions & ~BIT(self);
		heeds[self] = 0
	}
}

/* ---- a prune ---- */

#ifdef BREAK_KEEP
#define KEPT(s, give_up) ((s) & ~(give_up))
#else
#define KEPT(s, give_up) (s)
#endif

/* Reads the snapshots, then what is stated, and states what counts; and what
 * does not is removed for good. `unwanted_now`: removed because somebody
 * wants it. `give_up`: sessions. */
inline state(unwanted_now, give_up)
{
#ifdef BREAK_STATE_ORDER
	d_step { k = kept; r = removed; e = expired }
	s = snapshots;
#else
	s = snapshots;
	d_step { k = kept; r = removed; e = expired }
#endif
	d_step {
		r = (s & ~COUNTING(s, k, r, e)) | r | (unwanted_now);
		k = KEPT(COUNTING(s, k, r, e), give_up)
	}
	atomic {
		unwanted = unwanted | (unwanted_now);
		kept = kept | k;
		removed = removed | r;
		expired = expired | (give_up);
		assert(SAFE);
		s = 0; k = 0; e = 0
	}
}

/* What is needed: the snapshots, the index, the lists, the packs, in this
 * order. `used`: a copy that is not condemned, any; or all that are. */
inline survey()
{
	s = snapshots;
	d_step {
		s = COUNTING(s, kept, removed, expired)
	}
	view = index;
	d_step { bad = lists[0] | lists[1]; own0 = lists[0]; own1 = lists[1] }
	found = packs;
	good = view & found & ~bad;
	if
	:: s == 0 -> used = 0
	:: s != 0 && (view & found) == 0 -> goto end /* refused */
	:: s != 0 && (good & 1) -> used = 1
	:: s != 0 && (good & 2) -> used = 2
	:: s != 0 && (good & 4) -> used = 4
	:: s != 0 && good == 0 && (view & found) != 0 ->
#ifdef BREAK_ALL_COPIES
		if
		:: view & found & 1 -> used = 1
		:: view & found & 2 -> used = 2
		:: view & found & 4 -> used = 4
		fi
#else
		used = view & found
#endif
	fi;
	s = 0; good = 0
}

proctype prune(byte self)
{
	byte s, k, r, e, view, found, good, bad, used, own0, own1;
	byte chosen, there, gone, dead;

	/* P2 */
#ifdef CALM
	there = BIT(self);
#else
	if
	:: there = 0
	:: there = 1
	:: there = 2
	fi;
#endif
	state(there, 0);
	snapshots = snapshots & ~r;
	/* P3 */
	survey();
	lists[self] = (view | found) & ~used & ~bad;
	view = 0; found = 0; used = 0; r = 0;
	/* P4: the lists, then the sessions */
	d_step {
		chosen = (lists[0] != 0) | ((lists[1] != 0) << 1);
		bad = 0; own0 = 0; own1 = 0
	}
	there = sessions | marks;
	gone = 0;
	if
	:: (there & 2) ->
		if
		:: chosen = chosen & heeds[1] /* it is waited for */
#ifdef BREAK_WAIT
		:: skip
#endif
#ifndef CALM
		:: gone = gone | 2
#endif
		fi
	:: !(there & 2)
	fi;
	if
	:: (there & 4) ->
		if
		:: chosen = chosen & heeds[2]
#ifndef CALM
		:: gone = gone | 4
#endif
		fi
	:: !(there & 4)
	fi;
	there = 0;
	if
	:: chosen == 0 && gone == 0 -> goto end
	:: else
	fi;
	if
	:: gone != 0 ->
#ifndef BREAK_MARK
		marks = marks | gone;
#endif
		state(0, gone);
		sessions = sessions & ~gone;
		marks = marks & ~gone;
		r = 0
	:: else
	fi;
	gone = 0;
#ifndef BREAK_REMOVE_VOID
	state(0, 0);
	snapshots = snapshots & ~r;
	r = 0;
#endif
#ifdef BREAK_LOOK_AGAIN
	d_step { own0 = lists[0]; own1 = lists[1]; view = index; used = 0 }
#else
	survey();
#endif
	d_step {
		dead = 0;
		if
		:: chosen & 1 -> dead = dead | own0
		:: else
		fi;
		if
		:: chosen & 2 -> dead = dead | own1
		:: else
		fi;
		dead = dead & ~used;
		used = 0; bad = 0; own0 = 0; own1 = 0; found = 0
	}
#ifdef BREAK_RESCUE
	/* Takes back what is needed again, before anything else. */
	d_step {
		if
		:: chosen & 1 -> lists[0] = lists[0] & dead
		:: else
		fi;
		if
		:: chosen & 2 -> lists[1] = lists[1] & dead
		:: else
		fi
	}
#endif
#ifndef CALM
	/* P6 before P5, where the store is full */
	if
	:: skip
	:: atomic {
		packs = packs & ~dead;
		assert(SAFE)
	   }
	fi;
#endif
	/* P5: new index objects with what was seen, then the old ones go */
	index = index | (view & ~dead);
	atomic {
		index = index & ~dead;
		assert(SAFE)
	}
	/* P6 */
#ifdef BREAK_LIST_BEFORE_PACKS
	d_step {
		if
		:: chosen & 1 -> lists[0] = lists[0] & ~dead
		:: else
		fi;
		if
		:: chosen & 2 -> lists[1] = lists[1] & ~dead
		:: else
		fi
	}
#endif
	atomic {
		packs = packs & ~dead;
		assert(SAFE)
	}
	/* P7: what is needed stays condemned */
	d_step {
		if
		:: chosen & 1 -> lists[0] = lists[0] & ~dead
		:: else
		fi;
		if
		:: chosen & 2 -> lists[1] = lists[1] & ~dead
		:: else
		fi
	}
end:	skip
}

init {
	atomic {
		run writer(1);
#if WRITERS > 1
		run writer(2);
#endif
		run prune(0);
#if PRUNES > 1
		run prune(1)
#endif
	}
}
