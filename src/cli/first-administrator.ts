// What is wrong with the password of the first administrator, before anything is made of it on disk. How the account is
// made is auth/'s business.
import { administratorFaults } from '../auth/administrator.ts'
import { isGuessablePassword } from '../config/secrets.ts'
import { variableOf, type Config } from '../config/settings.ts'

/** One line for each fault. In production a password that could be guessed is one. */
export function administratorProblems({ env, adminEmail, adminPassword }: Partial<Config>): string[] {
  if (adminPassword === undefined) return []
  const faults = administratorFaults({ email: adminEmail, password: adminPassword })
  if (faults.length > 0 || env !== 'production' || !isGuessablePassword(adminPassword)) return faults
  return [
    `${variableOf('adminPassword')} can be guessed, which production does not allow: take a few words of your own, or what openssl rand -base64 24 prints`,
  ]
}
