package profiles

// tools are the profiles that well-known tools write or require, each with a program of
// its own that has the structure of the real one: the tool adds a function, which
// changes the shell that calls it.
func tools() []Profile {
	return []Profile{conda(), micromamba(), nvm(), sdkman(), pyenv(), virtualenvwrapper(), spack(), lmod(), environmentModules(), promptHook(), environment(), agent()}
}

// Lmod is the file that the init files of Debian's package of Lmod are in.
const Lmod = "/usr/share/lmod/lmod/init/bash"

// Login is a profile of several tools at once, with the machine's own Lmod.
func Login() Profile {
	p := conda()
	other := nvm()
	p.Name = "conda, nvm and Lmod"
	p.Text += "\n" + other.Text + "\n. " + Lmod + "\nmodule use ~/modulefiles"
	for name, text := range other.Files {
		p.Files[name] = text
	}
	p.Files["modulefiles/hello/1.0.lua"] = `setenv("HELLO", "from a module")` + "\n"
	p.Script += "\n" + other.Script + "\nmodule load hello; echo \"$HELLO\""
	p.Output += other.Output + "from a module\n"
	return p
}

// conda is the block of `conda init bash`: an evaluated hook that defines the
// function conda, which evaluates what the program prints.
func conda() Profile {
	return Profile{
		Name: "conda",
		Text: `# >>> conda initialize >>>
__conda_setup="$("$HOME/conda/bin/conda" 'shell.bash' 'hook' 2> /dev/null)"
if [ $? -eq 0 ]; then
    eval "$__conda_setup"
else
    if [ -f "$HOME/conda/etc/profile.d/conda.sh" ]; then
        . "$HOME/conda/etc/profile.d/conda.sh"
    else
        export PATH="$HOME/conda/bin:$PATH"
    fi
fi
unset __conda_setup
# <<< conda initialize <<<`,
		Files: map[string]string{"conda/bin/conda": `#!/bin/bash
root=$(cd "$(dirname "$0")/.." && pwd)
case $1 in
shell.bash)
	cat <<HOOK
export CONDA_EXE='$root/bin/conda'
export _CE_M=''
export _CE_CONDA=''
HOOK
	cat <<'HOOK'
__conda_exe() (
    "$CONDA_EXE" $_CE_M $_CE_CONDA "$@"
)
__conda_hashr() {
    if [ -n "${BASH_VERSION:+x}" ]; then \hash -r; fi
}
__conda_activate() {
    if [ -n "${CONDA_PS1_BACKUP:+x}" ]; then PS1="$CONDA_PS1_BACKUP"; \unset CONDA_PS1_BACKUP; fi
    \local ask_conda
    ask_conda="$(PS1="${PS1:-}" __conda_exe shell.posix "$@")" || \return
    \eval "$ask_conda"
    __conda_hashr
}
conda() {
    \local cmd="${1-__missing__}"
    case "$cmd" in
        activate|deactivate) __conda_activate "$@" ;;
        *) __conda_exe "$@" ;;
    esac
}
HOOK
	echo "conda activate 'base'" ;;
shell.posix)
	echo "export CONDA_DEFAULT_ENV='$3'"
	echo "export CONDA_PREFIX='$root/envs/$3'"
	echo "export PATH='$root/envs/$3/bin:'\"\$PATH\"" ;;
*) echo "conda $*" ;;
esac
`, "conda/envs/science/bin/measure": "#!/bin/sh\necho measured\n"},
		Script: "conda activate science\necho \"$CONDA_DEFAULT_ENV\"; measure; conda list", Output: "science\nmeasured\nconda list\n",
	}
}

// micromamba is the block of `micromamba shell init`, with an alias where the
// hook fails.
func micromamba() Profile {
	return Profile{
		Name: "micromamba",
		Text: `# >>> mamba initialize >>>
export MAMBA_EXE="$HOME/mamba/micromamba";
export MAMBA_ROOT_PREFIX="$HOME/mamba";
__mamba_setup="$("$MAMBA_EXE" shell hook --shell bash --root-prefix "$MAMBA_ROOT_PREFIX" 2> /dev/null)"
if [ $? -eq 0 ]; then
    eval "$__mamba_setup"
else
    alias micromamba="$MAMBA_EXE"
fi
unset __mamba_setup
# <<< mamba initialize <<<`,
		Files: map[string]string{"mamba/micromamba": `#!/bin/bash
case "$1 $2" in
"shell hook")
	cat <<'HOOK'
__mamba_exe() ( "$MAMBA_EXE" "${@}" )
__mamba_hashr() { if [ -n "${BASH_VERSION:+x}" ]; then \hash -r; fi; }
__mamba_xctivate() {
    \local ask_mamba
    ask_mamba="$(PS1="${PS1:-}" __mamba_exe shell "${@}" --shell bash)" || \return
    \eval "${ask_mamba}"
    __mamba_hashr
}
micromamba() {
    \local cmd="${1-__missing__}"
    case "${cmd}" in
        activate|reactivate|deactivate) __mamba_xctivate "${@}" ;;
        *) __mamba_exe "${@}" ;;
    esac
}
HOOK
	;;
"shell activate") echo "export CONDA_DEFAULT_ENV='$3'" ;;
esac
`},
		Script: "micromamba activate sim; echo \"$CONDA_DEFAULT_ENV\"", Output: "sim\n",
	}
}

// nvm is its installer's lines: a sourced file with functions that change PATH.
func nvm() Profile {
	return Profile{
		Name: "nvm",
		Text: `export NVM_DIR="$HOME/nvm"
[ -s "$NVM_DIR/nvm.sh" ] && \. "$NVM_DIR/nvm.sh"  # This loads nvm
[ -s "$NVM_DIR/bash_completion" ] && \. "$NVM_DIR/bash_completion"  # This loads nvm bash_completion`,
		Files: map[string]string{"nvm/nvm.sh": `nvm_echo() { command printf %s\\n "$*" 2>/dev/null; }
nvm_change_path() { if [ -z "${1-}" ]; then nvm_echo "${3-}${2-}"; else nvm_echo "${3-}${2-}:${1}"; fi; }
nvm() {
  if [ $# -lt 1 ]; then return 127; fi
  case $1 in
    use)
      local NVM_VERSION_DIR
      NVM_VERSION_DIR="$NVM_DIR/versions/node/v$2"
      PATH="$(nvm_change_path "$PATH" "/bin" "$NVM_VERSION_DIR")"
      export PATH
      hash -r
      export NVM_BIN="${NVM_VERSION_DIR}/bin"
      nvm_echo "Now using node v$2" ;;
    *) return 127 ;;
  esac
}
nvm_process_parameters() { :; }
nvm_process_parameters "$@"
`, "nvm/versions/node/v20/bin/node": "#!/bin/sh\necho node v20\n"},
		Script: "nvm use 20\nnode", Output: "Now using node v20\nnode v20\n",
	}
}

// sdkman is its installer's line; what it sources sources all of its own files
// and changes IFS on the way.
func sdkman() Profile {
	return Profile{
		Name: "sdkman",
		Text: `export SDKMAN_DIR="$HOME/sdkman"
[[ -s "$HOME/sdkman/bin/sdkman-init.sh" ]] && source "$HOME/sdkman/bin/sdkman-init.sh"`,
		Files: map[string]string{
			"sdkman/bin/sdkman-init.sh": `if [ -z "$SDKMAN_CANDIDATES_API" ]; then export SDKMAN_CANDIDATES_API="https://sdk.invalid"; fi
OLD_IFS="$IFS"
IFS=$'\n'
scripts=($(find "${SDKMAN_DIR}/src" -type f -name 'sdkman-*.sh'))
for f in "${scripts[@]}"; do source "$f"; done
IFS="$OLD_IFS"
unset OLD_IFS scripts f
sdkman_auto_env="false"
if [[ "$sdkman_auto_env" == "true" ]]; then PROMPT_COMMAND=sdkman_auto_env; fi
`,
			"sdkman/src/sdkman-main.sh": `function sdk() {
	COMMAND="$1"; QUALIFIER="$2"
	"__sdk_$COMMAND" "$QUALIFIER" "$3"
}
`,
			"sdkman/src/sdkman-use.sh": "function __sdk_use() { export JAVA_HOME=\"$SDKMAN_DIR/candidates/$1/$2\"; echo \"Using $1 version $2 in this shell.\"; }\n",
		},
		Script: "sdk use java 17; echo \"${JAVA_HOME#$SDKMAN_DIR/}\"", Output: "Using java version 17 in this shell.\ncandidates/java/17\n",
	}
}

// pyenv is the line of its documentation: an evaluated `pyenv init`.
func pyenv() Profile {
	return Profile{
		Name: "pyenv",
		Text: `export PYENV_ROOT="$HOME/pyenv"
[[ -d $PYENV_ROOT/bin ]] && export PATH="$PYENV_ROOT/bin:$PATH"
eval "$(pyenv init - bash)"`,
		Files: map[string]string{"pyenv/bin/pyenv": `#!/bin/bash
case $1 in
init)
	cat <<'HOOK'
export PATH="$PYENV_ROOT/shims:${PATH}"
export PYENV_SHELL=bash
command pyenv rehash 2>/dev/null
pyenv() {
  local command=${1:-}
  [ "$#" -gt 0 ] && shift
  case "$command" in
  activate|deactivate|rehash|shell) eval "$(pyenv "sh-$command" "$@")" ;;
  *) command pyenv "$command" "$@" ;;
  esac
}
HOOK
	;;
sh-shell) echo "PYENV_VERSION='$2'; export PYENV_VERSION" ;;
esac
`},
		Script: "pyenv shell 3.12; echo \"$PYENV_VERSION\"", Output: "3.12\n",
	}
}

// virtualenvwrapper is a sourced file whose functions source each environment's
// own.
func virtualenvwrapper() Profile {
	return Profile{
		Name: "virtualenvwrapper",
		Text: `export WORKON_HOME=$HOME/venvs
source $HOME/wrapper/virtualenvwrapper.sh`,
		Files: map[string]string{
			"wrapper/virtualenvwrapper.sh": `virtualenvwrapper_cd() { if [ -n "${BASH:-}" ]; then builtin \cd "$@"; fi; }
virtualenvwrapper_verify() { (virtualenvwrapper_cd "$WORKON_HOME" && [ -d "$1" ]); }
workon() {
    typeset env_name="$1"
    virtualenvwrapper_verify "$env_name" || return 1
    source "$WORKON_HOME/$env_name/bin/activate"
}
trap 'rm -f "$HOME/wrapper/hook.$$"' EXIT
`,
			"venvs/data/bin/activate": "VIRTUAL_ENV=\"$WORKON_HOME/data\"; export VIRTUAL_ENV; hash -r 2> /dev/null\n",
		},
		Script: "workon data; echo \"${VIRTUAL_ENV##*/}\"", Output: "data\n",
	}
}

// spack is its setup-env.sh: a function that evaluates what the program prints.
func spack() Profile {
	return Profile{
		Name: "spack",
		Text: ". $HOME/spack/share/spack/setup-env.sh",
		Files: map[string]string{
			"spack/share/spack/setup-env.sh": `_sp_root=${BASH_SOURCE[0]%/share/spack/setup-env.sh}
_spack_shell_wrapper() {
    case $1 in
    load|unload)
        stdout="$(command spack "$1" --sh "$2")" || return
        eval "$stdout" ;;
    *) command spack "$@" ;;
    esac
}
spack() { _spack_shell_wrapper "$@"; return $?; }
export PATH="$_sp_root/bin:$PATH"
export SPACK_ROOT=$_sp_root
export -f spack > /dev/null 2>&1
`,
			"spack/bin/spack": "#!/bin/sh\n[ \"$1\" = load ] && echo \"export LOADED='$3'\"\n",
		},
		Script: "spack load hdf5; echo \"$LOADED\"", Output: "hdf5\n",
	}
}

// lmod has the structure of Lmod's init/bash: exported functions, one that
// switches tracing off and on, and BASH_ENV for the shells to come.
func lmod() Profile {
	return Profile{
		Name: "Lmod",
		Text: ". $HOME/lmod/init/bash",
		Files: map[string]string{
			"lmod/init/bash": `case "$-" in *v*x*) __lmod_vx='vx' ;; *v*) __lmod_vx='v' ;; *x*) __lmod_vx='x' ;; esac
if [ -n "${__lmod_vx:-}" ]; then set +$__lmod_vx; fi
export LMOD_CMD="$HOME/lmod/libexec/lmod"
module() { eval "$($LMOD_CMD bash "$@")" && eval "$(${LMOD_SETTARG_CMD:-:} -s sh)"; }
ml() { module load "$@"; }
export -f module ml
export BASH_ENV="$HOME/lmod/init/bash"
if [ -n "${__lmod_vx:-}" ]; then set -$__lmod_vx; fi
unset __lmod_vx
`,
			"lmod/libexec/lmod": "#!/bin/sh\n[ \"$2\" = load ] && echo \"export LOADEDMODULES='$3';\"\n",
		},
		Script: "module load gcc/13; echo \"$LOADEDMODULES\"; bash -c 'ml fftw; echo \"$LOADEDMODULES\"'", Output: "gcc/13\nfftw\n",
	}
}

// environmentModules has the structure of Environment Modules' init/bash: a program's
// output defines it, and the function saves and restores IFS.
func environmentModules() Profile {
	return Profile{
		Name: "Environment Modules",
		Text: `if shopt -q login_shell; then unset MODULES_IN_SUBSHELL; fi
. $HOME/modules/init/bash`,
		Files: map[string]string{
			"modules/init/bash": `eval "$($HOME/modules/modulecmd bash autoinit)"
`,
			"modules/modulecmd": `#!/bin/sh
case $2 in
autoinit)
	cat <<'HOOK'
_module_raw() {
   unset _mlshdbg
   local _mlIFS=$IFS; unset IFS
   eval "$($HOME/modules/modulecmd bash "$@")"
   local _mlstatus=$?
   IFS=$_mlIFS
   return $_mlstatus
}
module() { _module_raw "$@" 2>&1; }
ml() { module load "$@"; }
export -f _module_raw module ml
BASH_ENV=$HOME/modules/init/bash; export BASH_ENV
HOOK
	;;
load) echo "LOADEDMODULES='$3'; export LOADEDMODULES;"; echo 'test 0;' ;;
esac
`,
		},
		Script: "module load mpi; echo \"$LOADEDMODULES\"", Output: "mpi\n",
	}
}

// promptHook is what prompt tools install.
func promptHook() Profile {
	return Profile{
		Name: "a prompt hook",
		Text: `_direnv_hook() { local previous=$?; trap -- '' SIGINT; eval "$(false)"; trap - SIGINT; return $previous; }
if [[ ";${PROMPT_COMMAND[*]:-};" != *";_direnv_hook;"* ]]; then PROMPT_COMMAND=("_direnv_hook" "${PROMPT_COMMAND[@]}"); fi
__bp_preexec() { local r=$?; return $r; }
trap '__bp_preexec "$_"' DEBUG`,
	}
}

// environment is what package managers print to be evaluated.
func environment() Profile {
	return Profile{
		Name: "an evaluated environment",
		Text: `eval "$(printf 'export %s=%q;\n' PREFIX "$HOME/brew" PATH "$HOME/brew/bin:$PATH")"
[ -z "${MANPATH-}" ] || export MANPATH=":${MANPATH#:}"`,
		Script: "echo \"${PREFIX##*/}\"", Output: "brew\n",
	}
}

// agent is the usual lines, with a program that goes into the background as
// ssh-agent does.
func agent() Profile {
	return Profile{
		Name: "an agent",
		Text: `if [ -z "$AGENT_PID" ]; then
	eval "$("$HOME/agent/agent" -s)" >/dev/null
fi`,
		Files: map[string]string{"agent/agent": `#!/bin/bash
setsid sleep 1003 </dev/null >/dev/null 2>&1 &
echo "AGENT_PID=$!; export AGENT_PID; echo Agent pid $!;"
`},
		Script: "kill -0 $AGENT_PID && echo served", Output: "served\n",
	}
}
