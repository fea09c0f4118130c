// `hipflask init`: the files to start from, and what an editor needs to know the types without node_modules. It never
// changes a file that is there.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import declarations from '../../dist/hipflask.d.ts.txt' with { type: 'text' }
import items from '../../dist/starter-items.ts.txt' with { type: 'text' }
import users from '../../dist/starter-users.ts.txt' with { type: 'text' }
import { OIDC_PARTS, oidcDocs, oidcVariable } from '../config/oidc.ts'
import { describeFallback, fallbackOf, settingNames, settingOf, variableOf } from '../config/settings.ts'
import { StartError } from '../core/errors.ts'
import { JSON_OPTION, printJson, type Command, type Io } from './command.ts'

const TYPES = '.hipflask/hipflask.d.ts'
/** What to do about a kept file without which an editor knows no types. */
const REMEDIES: Readonly<Record<string, string>> = {
  [TYPES]: ' (of another version; to have this one, delete it and run init again)',
  'tsconfig.json': ` (yours; for types, its "paths" must have "hipflask": ["./${TYPES}"])`,
}

interface StarterFile {
  /** Below the new folder. */
  path: string
  text: string
}

interface Outcome {
  path: string
  /** A kept file may be the user's own; it `differs` from what would have been written. */
  outcome: 'written' | 'kept' | 'differs'
}

export const init: Command = {
  name: 'init',
  summary: 'Write a first resource and what an editor needs',
  examples: [
    { line: 'hipflask init', does: 'in the working folder' },
    { line: 'hipflask init shop', does: 'in the folder shop, made if need be' },
  ],
  positional: [{ name: 'dir', summary: 'Folder to write to, the working folder unless given' }],
  options: [JSON_OPTION],
  async run({ positional, options, flags }, io) {
    const folder = resolve(io.cwd, positional[0] ?? '.')
    const resources = relative(folder, resolve(folder, flags.resources ?? 'resources')) || '.'
    const outcomes: Outcome[] = []
    for (const file of starterFiles(resources.split(sep).join('/'))) outcomes.push(await write(folder, file))
    if (options['json'] === true) printJson({ folder, files: outcomes }, io)
    else report({ outcomes, folder, resources }, io)
    return 0
  },
}

/** Every setting as a comment, with its default, and those of a provider that is called NAME. */
export function environmentExample(): string {
  const entries = settingNames.map((name) => {
    const { doc, isSecret = false } = settingOf(name)
    const value = fallbackOf(name, 'development') ?? ''
    const fallback = describeFallback(name)
    return [
      `# ${doc}`,
      ...(fallback === undefined || fallback === value ? [] : [`# Default: ${fallback}`]),
      `# ${variableOf(name)}=${value}`,
      ...(isSecret ? [`# or the name of a file that has it: ${variableOf(name)}_FILE=`] : []),
    ].join('\n')
  })
  const ofProvider = OIDC_PARTS.map((part) => `# ${oidcDocs[part]}\n# ${oidcVariable('name', part)}=`)
  return `# Settings of hipflask. Copy this file to .env and take the # from the lines that you need. The environment and
# flags come before .env. An empty value counts as not set.

${entries.join('\n\n')}

# An OpenID provider to sign in at, whose name stands for NAME, as in HIPFLASK_OIDC_AUTH0_ISSUER:
${ofProvider.join('\n')}
`
}

function starterFiles(resources: string): StarterFile[] {
  return [
    { path: `${resources}/items.ts`, text: items },
    { path: `${resources}/users.ts`, text: users },
    { path: '.env.example', text: environmentExample() },
    { path: TYPES, text: declarations },
    { path: 'tsconfig.json', text: compilerOptions(resources) },
  ]
}

/** Without `types` a package of some parent folder would bring its globals; `dom` has console, fetch and URL. */
function compilerOptions(resources: string): string {
  const options = {
    compilerOptions: {
      target: 'esnext',
      module: 'preserve',
      moduleResolution: 'bundler',
      lib: ['esnext', 'dom'],
      types: [],
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      allowImportingTsExtensions: true,
      resolveJsonModule: true,
      paths: { hipflask: [`./${TYPES}`] },
    },
    include: [resources],
  }
  return `${JSON.stringify(options, null, 2)}\n`
}

async function write(folder: string, { path, text }: StarterFile): Promise<Outcome> {
  const file = join(folder, path)
  try {
    await mkdir(dirname(file), { recursive: true })
    // Makes the file or fails: nothing that is there is lost, also not what a symbolic link names.
    await writeFile(file, text, { flag: 'wx' })
    return { path, outcome: 'written' }
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') {
      throw new StartError(
        `${file} can't be written, the folder must be one that this user may write to`,
        1,
        error,
      )
    }
    const present = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new StartError(
        `${file} can't be made: ${dirname(path)} or it is in the way and no such file`,
        1,
        cause,
      )
    })
    return { path, outcome: present === text ? 'kept' : 'differs' }
  }
}

function report(
  { outcomes, folder, resources }: { outcomes: readonly Outcome[]; folder: string; resources: string },
  io: Io,
): void {
  for (const { path, outcome } of outcomes) {
    const remedy = outcome === 'differs' ? (REMEDIES[path] ?? ' (there already, and different)') : ''
    io.stdout(`${outcome === 'written' ? 'wrote' : 'kept '} ${path}${remedy}\n`)
  }
  const change = folder === resolve(io.cwd) ? '' : `cd ${relative(io.cwd, folder)} && `
  const flag = resources === 'resources' ? '' : ` --resources ${resources}`
  io.stdout(`
Next: ${change}hipflask serve${flag}
Then open the printed address with /swagger behind it, and change ${resources}/items.ts.
Settings: copy .env.example to .env. Check types in an editor, or by: npx --package typescript tsc
`)
}
