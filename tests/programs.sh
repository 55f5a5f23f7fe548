# Finds or builds programs of published Go modules for the tests. Sourced by the scripts that say which programs these are;
# they set, before they call `programs "$@"`:
#
#   cache            the folder for what is built: by version and outside of the checkout, so that a fresh clone, and every
#                    worktree, finds what another one built
#   title            what is built, for people: "Kubernetes 1.34.4"
#   all              every program, an array
#   assets           the name of a variable that may hold a folder with the programs, or nothing
#   package PROGRAM  prints the package that a program is built from; nothing for a name that is not known
#   module PROGRAM   prints the folder with the go.mod and go.sum that pin it
#   flags PROGRAM    prints the linker's flags
#   tags PROGRAM     prints the build tags, separated by commas; may print nothing
#
# With --find as the first argument nothing is built, and the exit code is 3 if a program is missing. The folder is the only
# line on standard output, progress goes to standard error.
# shellcheck shell=bash

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# The version of module $2 in the go.mod of folder $1, without its `v`.
pinned() { sed -n "s|^[[:space:]]*\(require \)\{0,1\}$2 v\([0-9.]*\)\( //.*\)\{0,1\}\$|\2|p" "$1/go.mod"; }

# The programs among "$2…" that folder $1 lacks.
missing() {
	local folder=$1 program
	shift
	for program; do
		[[ -x $folder/$program ]] || printf '%s ' "$program"
	done
}

# Builds program $1 beside its place in the cache and moves it there whole: a build that was interrupted leaves nothing that
# looks finished.
build() {
	local program=$1 from=$SECONDS half
	half=$(mktemp -d "$cache/.building.XXXXXX")
	# Static, so that a program also runs in the empty root of a namespace; nice, so that a build disturbs no test.
	if ! (cd "$(module "$program")" && CGO_ENABLED=0 GOWORK=off nice -n 19 go build -trimpath -buildvcs=false \
		-tags "$(tags "$program")" -ldflags "$(flags "$program")" -o "$half/$program" "$(package "$program")" >&2); then
		rm -rf "$half"
		say "could not build $program; the lines above are Go's"
		return 1
	fi
	mv -f "$half/$program" "$cache/$program"
	rm -rf "$half"
	say "built $program in $((SECONDS - from)) s"
}

# Looks into the folder of the variable, then into the cache, then builds into the cache what it lacks.
programs() {
	local find_only='' program lacks own=${!assets-}
	if [[ ${1-} == --find ]]; then
		find_only=yes
		shift
	fi
	[[ $# -gt 0 ]] || set -- "${all[@]}"
	for program; do
		if [[ -z $(package "$program") ]]; then
			say "knows no program '$program'"
			return 2
		fi
	done
	if [[ -n $own ]]; then
		lacks=$(missing "$own" "$@")
		if [[ -z $lacks ]]; then
			echo "$own"
			return
		fi
		say "$assets is set, but $own lacks ${lacks% }"
	fi
	lacks=$(missing "$cache" "$@")
	if [[ -n $lacks && -n $find_only ]]; then
		say "$cache lacks ${lacks% }: run $0 once, or set $assets"
		return 3
	fi
	if [[ -n $lacks ]]; then
		if ! command -v go >/dev/null; then
			say "$cache lacks ${lacks% }, and there is no 'go' to build with: install Go 1.24 or newer, or set $assets"
			return 1
		fi
		mkdir -p "$cache"
		exec 9>"$cache/.lock"
		if ! flock -n 9; then
			say "waits for another build"
			flock 9
		fi
		# Asked again: the other build may have been for the same.
		lacks=$(missing "$cache" "$@")
		# What a build that was killed has left; the lock is ours, so none of it is in use.
		rm -rf "$cache"/.building.*
		[[ -z $lacks ]] || say "builds ${lacks% } ($title) into $cache"
		for program in $lacks; do
			build "$program" || return
		done
	fi
	echo "$cache"
}
