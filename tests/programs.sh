# Finds or builds programs from published Go modules for the tests. The sourcing script defines the programs. Before it calls
# `programs "$@"`, it sets:
#
#   cache            the folder for the binaries: per version and outside of the checkout, so a fresh clone and every worktree
#                    share them
#   title            the name to show, such as "Kubernetes 1.34.4"
#   all              an array of all programs
#   assets           the name of an optional environment variable with a folder of prebuilt programs
#   package PROGRAM  prints the Go package of a program; nothing for an unknown program
#   module PROGRAM   prints the folder with the go.mod and go.sum that pin it
#   flags PROGRAM    prints the linker flags
#   tags PROGRAM     prints the build tags, separated by commas; may print nothing
#
# With --find as the first argument, nothing is built; the exit code is 3 if a program is missing. Standard output contains
# only the folder; progress goes to standard error.
# shellcheck shell=bash

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# Prints the version of module $2 in the go.mod of folder $1, without its `v`.
pinned() { sed -n "s|^[[:space:]]*\(require \)\{0,1\}$2 v\([0-9.]*\)\( //.*\)\{0,1\}\$|\2|p" "$1/go.mod"; }

# Prints the programs among "$2…" that are missing in folder $1.
missing() {
	local folder=$1 program
	shift
	for program; do
		[[ -x $folder/$program ]] || printf '%s ' "$program"
	done
}

# Builds program $1 in a temporary folder and then moves it into the cache: an interrupted build leaves nothing that looks
# finished.
build() {
	local program=$1 from=$SECONDS half
	half=$(mktemp -d "$cache/.building.XXXXXX")
	# Static, to run in the empty root of a namespace; nice, to avoid disturbing the tests.
	if ! (cd "$(module "$program")" && CGO_ENABLED=0 GOWORK=off nice -n 19 go build -trimpath -buildvcs=false \
		-tags "$(tags "$program")" -ldflags "$(flags "$program")" -o "$half/$program" "$(package "$program")" >&2); then
		rm -rf "$half"
		say "could not build $program; see Go's output above"
		return 1
	fi
	mv -f "$half/$program" "$cache/$program"
	rm -rf "$half"
	say "built $program in $((SECONDS - from)) s"
}

# Looks for programs in the folder of the variable, then in the cache, and builds missing ones into the cache.
programs() {
	local find_only='' program lacks own=${!assets-}
	if [[ ${1-} == --find ]]; then
		find_only=yes
		shift
	fi
	[[ $# -gt 0 ]] || set -- "${all[@]}"
	for program; do
		if [[ -z $(package "$program") ]]; then
			say "unknown program '$program'"
			return 2
		fi
	done
	if [[ -n $own ]]; then
		lacks=$(missing "$own" "$@")
		if [[ -z $lacks ]]; then
			echo "$own"
			return
		fi
		say "$assets is set, but $own does not contain ${lacks% }"
	fi
	lacks=$(missing "$cache" "$@")
	if [[ -n $lacks && -n $find_only ]]; then
		say "$cache does not contain ${lacks% }: run $0 once, or set $assets"
		return 3
	fi
	if [[ -n $lacks ]]; then
		if ! command -v go >/dev/null; then
			say "$cache does not contain ${lacks% }, and 'go' is not installed: install Go 1.26 or newer, or set $assets"
			return 1
		fi
		mkdir -p "$cache"
		exec 9>"$cache/.lock"
		if ! flock -n 9; then
			say "waiting for another build"
			flock 9
		fi
		# Check again: another build may have built the same programs.
		lacks=$(missing "$cache" "$@")
		# Remove leftovers of a killed build; we hold the lock, so none of them are in use.
		rm -rf "$cache"/.building.*
		[[ -z $lacks ]] || say "building ${lacks% } ($title) in $cache"
		for program in $lacks; do
			build "$program" || return
		done
	fi
	echo "$cache"
}
