// Certificates made by openssl, as those who run a server make them.
import { join } from 'node:path'

export const hasOpenssl = Bun.which('openssl') !== null
if (!hasOpenssl) console.log('https is not tested: openssl is not installed')

/** Runs openssl in the folder with the words of one line; throws where it fails. */
export function openssl(line: string, folder: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(['openssl', ...line.split(' ')], {
    cwd: folder,
    stdin: 'ignore',
  })
  if (exitCode !== 0) throw new Error(`openssl ${line}: ${stderr.toString()}`)
  return stdout.toString()
}

export const KEY_KINDS = {
  RSA: 'rsa:2048',
  EC: 'ec -pkeyopt ec_paramgen_curve:prime256v1',
  Ed25519: 'ed25519',
} as const

/** Makes `NAME.crt`, signed by itself and good for localhost and 127.0.0.1, and `NAME.key`. */
export function makeCertificate(name: string, folder: string, kind: keyof typeof KEY_KINDS = 'EC'): void {
  openssl(
    `req -x509 -newkey ${KEY_KINDS[kind]} -nodes -keyout ${name}.key -out ${name}.crt -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1`,
    folder,
  )
}

/** Makes `root.crt`, and `chain.crt` with `chain.key`, whose own certificate one between signed. */
export async function makeChain(folder: string): Promise<void> {
  makeCertificate('root', folder)
  await Bun.write(join(folder, 'authority.ext'), 'basicConstraints=critical,CA:TRUE\n')
  await Bun.write(join(folder, 'server.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  for (const [name, issuer, extensions] of [
    ['between', 'root', 'authority'],
    ['chain', 'between', 'server'],
  ] as const) {
    openssl(
      `req -newkey ${KEY_KINDS.EC} -nodes -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`,
      folder,
    )
    openssl(
      `x509 -req -in ${name}.csr -CA ${issuer}.crt -CAkey ${issuer}.key -CAcreateserial -days 30 -extfile ${extensions}.ext -out ${name}.crt`,
      folder,
    )
  }
  const texts = ['chain', 'between'].map((name) => Bun.file(join(folder, `${name}.crt`)).text())
  await Bun.write(join(folder, 'chain.crt'), (await Promise.all(texts)).join(''))
}

/** Makes `ended.crt` with the key of another certificate; it was good until yesterday. */
export function makeEnded(name: string, folder: string): void {
  openssl(`req -new -key ${name}.key -subj /CN=localhost -out ended.csr`, folder)
  openssl(`x509 -req -in ended.csr -signkey ${name}.key -days -1 -out ended.crt`, folder)
}
