import { unzipSync } from 'fflate'
import { expect, test } from 'bun:test'
import { packTarGz, packZip, type Entry } from '../../release/archive.ts'

const text = (content: string) => new TextEncoder().encode(content)
const ENTRIES: readonly Entry[] = [
  { name: 'hipflask.exe', bytes: text('an executable\n'.repeat(100)), isExecutable: true },
  { name: 'LICENSE', bytes: text('MIT'), isExecutable: false },
]

test('a ZIP archive holds its entries', () => {
  const files = unzipSync(packZip(ENTRIES))
  expect(Object.entries(files).map(([name, bytes]) => [name, new TextDecoder().decode(bytes)])).toEqual([
    ['hipflask.exe', 'an executable\n'.repeat(100)],
    ['LICENSE', 'MIT'],
  ])
})

test('archives are of their entries alone: another time or zone changes nothing', async () => {
  const made = async () => [packZip(ENTRIES), await packTarGz(ENTRIES)]
  const first = await made()
  process.env['TZ'] = 'Pacific/Auckland'
  await Bun.sleep(2100) // The clock of a ZIP archive ticks every two seconds.
  expect(await made()).toEqual(first)
})

test('an archive of other bytes is another one', async () => {
  const [first = ENTRIES[0]!, ...rest] = ENTRIES
  const changed = [{ ...first, bytes: text('other') }, ...rest]
  expect(packZip(changed)).not.toEqual(packZip(ENTRIES))
  expect(await packTarGz(changed)).not.toEqual(await packTarGz(ENTRIES))
})
