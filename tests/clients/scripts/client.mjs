// SPDX-License-Identifier: MIT OR Apache-2.0
// client.mjs HOST PORT ROOT: https with an agent that resumes sessions, and tls, in both versions.
import assert from 'node:assert';
import fs from 'node:fs';
import https from 'node:https';

const [host, port, root] = process.argv.slice(2);

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  const agent = new https.Agent({ keepAlive: false, maxCachedSessions: 10 });
  for (const resumed of [false, true]) {
    await new Promise((resolve, reject) => {
      const options = {
        host, port, agent, servername: 'ttls.test', ca: fs.readFileSync(root),
        minVersion: version, maxVersion: version,
      };
      https.get(options, (response) => {
        const { socket } = response;
        assert.equal(socket.isSessionReused(), resumed, `${version}, resumed`);
        let page = '';
        response.on('data', (data) => { page += data; });
        response.on('end', () => {
          assert.match(page, new RegExp(`version=${version}\n`));
          resolve();
        });
      }).on('error', reject);
    });
  }
}
console.log('all is well');
