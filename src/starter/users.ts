// Accounts: name, e-mail, password and role are there anyway. These are told at registering, and changed by PATCH /auth/me.
import { defineUsers, t } from 'hipflask'

export default defineUsers({ profile: t.Object({ age: t.Optional(t.Integer({ minimum: 18 })) }) })
