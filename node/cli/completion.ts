import { Argument, Command } from 'commander'

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

/** Its name; it completes all commands. */
export const COMPLETION = 'completion'

export function completionCommand(): Command {
  return new Command(COMPLETION)
    .description('what makes the Tab key complete commands and flags')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      `
Examples:
  source <(artel completion bash)                                     now; put it into ~/.bashrc for always
  source <(artel completion zsh)
  artel completion fish > ~/.config/fish/completions/artel.fish`
    )
    .action((shell: Shell, _options: unknown, command: Command) => {
      process.stdout.write(SCRIPTS[shell](words(command.parent!)))
    })
}

/** What can follow a command: its own commands, the choices of its arguments, its flags. */
interface Words {
  /** `artel receipt show` → `receipt show` */
  path: string
  commands: { name: string; description: string }[]
  values: string[]
  flags: { name: string; description: string; choices: string[]; takesValue: boolean }[]
}

function words(command: Command, path: string[] = []): Words[] {
  const own: Words = {
    path: path.join(' '),
    commands: command.commands.map(child => ({ name: child.name(), description: child.description() })),
    values: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    flags: command.options
      .filter(({ hidden }) => !hidden)
      .map(({ long, description, argChoices, required, optional }) => ({
        name: long!,
        description,
        choices: argChoices ?? [],
        takesValue: required || optional
      }))
  }
  return [own, ...command.commands.flatMap(child => words(child, [...path, child.name()]))]
}

/** A name of ours as an item of a shell's list: letters, digits, dashes and dots only. */
const list = (names: string[]): string => names.join(' ')

const after = ({ commands, values, flags }: Words): string =>
  list([...commands.map(({ name }) => name), ...values, ...flags.map(({ name }) => name), '--help'])

function bash(all: Words[]): string {
  const cases = all.map(each => `    '${each.path}') words='${after(each)}' ;;`)
  const choices = all.flatMap(({ path, flags }) =>
    flags
      .filter(({ choices }) => choices.length > 0)
      .map(({ name, choices }) => `    '${path} ${name}') words='${list(choices)}' ;;`)
  )
  const files = [...new Set(all.flatMap(({ flags }) => flags))].filter(
    ({ takesValue, choices }) => takesValue && choices.length === 0
  )
  return `# bash completion for artel; made by: artel completion bash
_artel() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " ${list(all.map(({ path }) => path.replaceAll(' ', '_')).filter(Boolean))} " in
      *" \${path:+\${path// /_}_}$word "*) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path $before" in
${choices.join('\n')}
  esac
  if [ -z "$words" ]; then
    case "$before" in
      ${[...new Set(files.map(({ name }) => name))].join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
    case "$path" in
${cases.join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  # files where no command or flag fits
  if [ \${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _artel artel
`
}

/** zsh runs the functions of bash. */
function zsh(all: Words[]): string {
  return `# zsh completion for artel; made by: artel completion zsh
autoload -U +X compinit && compinit
autoload -U +X bashcompinit && bashcompinit
${bash(all)}`
}

function fish(all: Words[]): string {
  const quote = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`
  const lines = all.flatMap(({ path, commands, values, flags }) => {
    const condition =
      path === ''
        ? '__fish_use_subcommand'
        : path
            .split(' ')
            .map(word => `__fish_seen_subcommand_from ${word}`)
            .join('; and ')
    const start = `complete -c artel -n ${quote(condition)}`
    return [
      ...commands.map(({ name, description }) => `${start} -f -a ${name} -d ${quote(description)}`),
      ...values.map(value => `${start} -f -a ${value}`),
      ...flags.map(({ name, description, choices, takesValue }) => {
        const value = choices.length > 0 ? ` -x -a ${quote(list(choices))}` : takesValue ? ' -r' : ''
        return `${start} -l ${name.slice(2)}${value} -d ${quote(description)}`
      })
    ]
  })
  return `# fish completion for artel; made by: artel completion fish\n${lines.join('\n')}\n`
}

const SCRIPTS: Record<Shell, (all: Words[]) => string> = { bash, zsh, fish }
