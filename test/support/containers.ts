// The Docker engine as the tests of the image use it, by its command line: names of this run alone, which are removed in
// the end, and ports that the engine chooses. It starts no engine.
import { $ } from 'bun'
import { join } from 'node:path'
import { sectionsOf, type Block } from './readme.ts'

const ROOT = join(import.meta.dir, '../..')
const HEALTHY_TIMEOUT_MS = 60_000
/** A stop that takes longer is ended by SIGKILL, and its exit code is 137. */
const STOP_SECONDS_MAX = 5

const engine = await $`docker version --format ${'{{.Server.Version}}'}`.quiet().nothrow()
/** Whether an engine answers. */
export const hasEngine = engine.exitCode === 0
/** Why not. */
export const engineFault = engine.stderr.toString().trim()

const plugin = await $`docker compose version`.quiet().nothrow()
/** Compose, or its first version, which Debian has; undefined where there is none. */
export const composeCommand: string | undefined =
  plugin.exitCode === 0 ? 'docker compose' : (Bun.which('docker-compose') ?? undefined)
const isFirstCompose = plugin.exitCode !== 0

export interface State {
  Status: string
  ExitCode: number
  StartedAt: string
  Health: { Status: string; Log: { End: string; ExitCode: number }[] }
}

/** Waits until the container is healthy. Throws with its log where it ends or takes too long. */
export async function healthy(container: string): Promise<State> {
  const deadline = Date.now() + HEALTHY_TIMEOUT_MS
  let state: State
  do {
    await Bun.sleep(100)
    state = await inspect(container, '{{json .State}}')
    if (state.Health.Status === 'healthy') return state
  } while (state.Status === 'running' && Date.now() < deadline)
  throw new Error(`Container is ${state.Status} and ${state.Health.Status}\n${await logOf(container)}`)
}

/** The part of what the engine knows of it that the template names as JSON. */
export async function inspect<T>(container: string, template: string): Promise<T> {
  return (await $`docker inspect --format ${template} ${container}`.json()) as T
}

export async function logOf(container: string): Promise<string> {
  return $`docker logs ${container} 2>&1`.text()
}

/** Where its port 3000 is on this machine. */
export async function urlOf(container: string): Promise<string> {
  return `http://${(await $`docker port ${container} 3000/tcp`.text()).trim()}`
}

/** Its exit code, which is 137 where it did not end within 5 seconds. */
export async function stop(container: string): Promise<number> {
  await $`docker stop --time ${STOP_SECONDS_MAX} ${container}`.quiet()
  return (await inspect<State>(container, '{{json .State}}')).ExitCode
}

/** The commands of the README's section on Docker, without those of the shell that follow another purpose. */
export function dockerBlocks(readme: string): readonly Block[] {
  const section = sectionsOf(readme).find(({ title }) => title === 'Docker')
  return section?.blocks.filter(({ language }) => language === 'sh') ?? []
}

/**
 * Runs a command of the README in this folder, with `name` for each image, container, volume and project that it calls
 * hipflask, and any free port. Gives what it printed. Throws where it fails.
 */
export async function runDocker(text: string, folder: string, name: string): Promise<string> {
  const command = text
    .replace(/(?<![/\w])hipflask\b/g, name)
    .replaceAll('127.0.0.1:3000:3000', '127.0.0.1::3000')
    .replace(/(docker build .*) \.$/m, `$1 ${ROOT}`)
    .replace(/^docker compose/gm, `${composeCommand} --project-name ${name}`)
  const run = await $`bash -eu -c ${command} 2>&1`.cwd(folder).quiet().nothrow()
  const printed = run.stdout.toString()
  if (run.exitCode !== 0) throw new Error(`Ended with ${run.exitCode}:\n${command}\n${printed}`)
  return printed
}

/** compose.yaml for a run of `name`: its image, free ports, and without what the first Compose does not know. */
export async function composeFileOf(name: string): Promise<string> {
  const text = await Bun.file(join(ROOT, 'compose.yaml')).text()
  const own = text
    .replace('image: hipflask', `image: ${name}`)
    .replace('build: .', `build: ${ROOT}`)
    .replace(/127\.0\.0\.1:\d+:3000/g, '127.0.0.1::3000')
  return isFirstCompose ? own.replace(/^ *start_interval:.*\n/m, '') : own
}
