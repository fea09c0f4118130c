// Provides `import … from 'hipflask'` to resource files at run time: they need no package beside the executable.
import { plugin } from 'bun'
import * as sdk from '../sdk.ts'

/** Makes the module known. Called once, before the first resource file is imported; it wins over node_modules. */
export function provideModule(): void {
  plugin({
    name: 'hipflask',
    setup(build) {
      build.module('hipflask', () => ({ exports: { ...sdk }, loader: 'object' }))
    },
  })
}
