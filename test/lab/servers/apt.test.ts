import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mirrorsIn } from '../../../scripts/lab/servers/apt.ts';

const DEB822 = `# kept by hand
Types: deb deb-src
URIs: http://deb.example/debian
# which of them
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGPL0BUBEADmW5NdOOHwPIJlgPu6JDcKw/NZJPR8lsD3K87ZM18gzyQZJD+w
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
`;

const ONE_LINE = `
# deb http://commented.example/debian bookworm main
deb [ signed-by=/usr/share/keyrings/x.gpg arch=amd64 ] https://one.example/debian bookworm main non-free # home
deb-src http://sources.example/debian bookworm main
deb https://packages.example cloud-sdk-bookworm main
deb https://vendor.example/node nodistro main
deb https://docker.example/linux/debian bookworm stable
deb http://deb.example/debian sid main
`;

test('the Debian mirrors of a machine, from files of both formats', () => {
  const files = [
    { name: '/etc/apt/sources.list', text: ONE_LINE },
    { name: '/etc/apt/sources.list.d/debian.sources', text: DEB822 },
    { name: '/etc/apt/sources.list.d/debian.sources.save', text: DEB822.replaceAll('deb.', 'saved.') },
  ];
  assert.deepEqual(mirrorsIn(files, 'bookworm'), ['https://one.example/debian', 'http://deb.example/debian']);
});

test('a machine of another distribution has none, one of a later Debian has', () => {
  const text = 'deb http://archive.example/ubuntu noble main\n';
  assert.deepEqual(mirrorsIn([{ name: 'sources.list', text }], 'stable'), []);
  const later = [{ name: 'sources.list', text: 'deb http://later.example/debian duke main\n' }];
  assert.deepEqual(mirrorsIn(later, 'duke'), ['http://later.example/debian']);
});
