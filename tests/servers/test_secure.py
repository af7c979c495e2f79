"""HTTPS and delegation tokens on real servers of their own: what is not trusted is refused, and the message says what to do."""

import hashlib
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import case
import cluster

SSL_SERVER = """<?xml version="1.0"?>
<configuration>
  <property><name>ssl.server.keystore.location</name><value>{store}</value></property>
  <property><name>ssl.server.keystore.password</name><value>secret</value></property>
  <property><name>ssl.server.keystore.keypassword</name><value>secret</value></property>
  <property><name>ssl.server.keystore.type</name><value>pkcs12</value></property>
</configuration>
"""


def pictures(folder):
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in pathlib.Path(folder).rglob("*.jpg")}


class Secure(unittest.TestCase):
    """A NameNode and a DataNode that also speak https, with a certificate that no authority knows."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="brainmri-secure-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        home = cls.folder / "cluster"
        (home / "conf").mkdir(parents=True)
        store, cls.authority = cls.folder / "store.p12", cls.folder / "authority.pem"
        keytool = pathlib.Path(cluster.fetch.java_home()) / "bin" / "keytool"
        subprocess.run([keytool, "-genkeypair", "-alias", "test", "-keyalg", "RSA", "-dname", "CN=127.0.0.1", "-ext", "SAN=ip:127.0.0.1", "-validity", "2",
                        "-keystore", store, "-storetype", "PKCS12", "-storepass", "secret"], check=True, capture_output=True, timeout=120 * case.PATIENCE)
        subprocess.run([keytool, "-exportcert", "-rfc", "-alias", "test", "-keystore", store, "-storepass", "secret", "-file", cls.authority], check=True,
                       capture_output=True, timeout=120 * case.PATIENCE)
        (home / "conf" / "ssl-server.xml").write_text(SSL_SERVER.format(store=store), encoding="utf-8")
        web, data = cluster.free_ports(2)
        cls.web = f"127.0.0.1:{web}"
        cls.servers = cluster.start(home, "--workers", "0", "--set", "dfs.http.policy=HTTP_AND_HTTPS", "--set", f"dfs.namenode.https-address={cls.web}",
                                    "--set", f"dfs.datanode.https.address=127.0.0.1:{data}", "--set", "dfs.namenode.delegation.token.always-use=true")
        cls.addClassCleanup(cls.servers.stop)
        cls.environment = cls.servers.client_environment()
        cls.images = cls.folder / "images"
        subprocess.run([case.PROGRAM, "phantom", cls.images, "--count", "5", "--size", "64", "--quiet"], check=True, timeout=120 * case.PATIENCE)

    def call(self, *arguments, code=0, **variables):
        environment = {key: value for key, value in (self.environment | variables).items() if value is not None}
        done = subprocess.run([case.PROGRAM, *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=240 * case.PATIENCE, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def trusting(self):
        return {"CURL_CA_BUNDLE": str(self.authority), "SSL_CERT_FILE": None}

    def test_a_folder_goes_over_https(self):
        url = f"swebhdfs://{self.web}/user/{self.environment['CLUSTER_USER']}/https"
        self.call("data", "put", self.images, url, **self.trusting())
        self.call("data", "verify", self.images, url, CURL_CA_BUNDLE=None, SSL_CERT_FILE=str(self.authority))
        self.call("data", "get", url, self.folder / "back", **self.trusting())
        self.assertTrue(pictures(self.images))
        self.assertEqual(pictures(self.folder / "back"), pictures(self.images))
        # HDFS's own word for what is there, over plain HTTP.
        self.assertEqual(self.servers.webhdfs("GETCONTENTSUMMARY", f"/user/{self.environment['CLUSTER_USER']}/https")["ContentSummary"]["fileCount"], 20)

    def test_the_ways_to_say_https(self):
        """--webhdfs beside swebhdfs://, and a client's configuration with dfs.http.policy HTTPS_ONLY."""
        self.call("data", "ls", f"swebhdfs://{self.web}/user", "--webhdfs", self.web, HADOOP_CONF_DIR=None, HADOOP_HOME=None, **self.trusting())
        conf = self.folder / "conf"
        conf.mkdir()
        (conf / "core-site.xml").write_text((self.servers.conf / "core-site.xml").read_text(encoding="utf-8"), encoding="utf-8")
        text = (self.servers.conf / "hdfs-site.xml").read_text(encoding="utf-8")
        self.assertIn("HTTP_AND_HTTPS", text)
        (conf / "hdfs-site.xml").write_text(text.replace("HTTP_AND_HTTPS", "HTTPS_ONLY"), encoding="utf-8")
        self.call("data", "ls", self.environment["CLUSTER_HDFS"] + "/user", HADOOP_CONF_DIR=str(conf), **self.trusting())
        done = self.call("data", "ls", self.environment["CLUSTER_HDFS"] + "/user", code=1, HADOOP_CONF_DIR=str(conf), CURL_CA_BUNDLE=None, SSL_CERT_FILE=None)
        self.assertIn(self.web, done.stderr)

    def test_a_certificate_that_is_not_trusted(self):
        url = f"swebhdfs://{self.web}/user"
        for variables in ({"CURL_CA_BUNDLE": None, "SSL_CERT_FILE": None}, {"CURL_CA_BUNDLE": "/nowhere/ca.pem"}):
            done = self.call("data", "ls", url, code=1, **variables)
            for text in ("certificate is not trusted", "CURL_CA_BUNDLE", self.web):
                self.assertIn(text, done.stderr)
        done = self.call("data", "ls", f"webhdfs://{self.web}/user", code=1)
        self.assertIn("swebhdfs://", done.stderr)

    def test_a_delegation_token(self):
        """A NameNode without Kerberos gives tokens and takes requests that name no user but a token; it looks at none, and who asks is its default web user."""
        token = self.servers.webhdfs("GETDELEGATIONTOKEN", "/", renewer=self.environment["CLUSTER_USER"])["Token"]["urlString"]
        self.servers.webhdfs("MKDIRS", "/open", "PUT", permission="777")
        url = f"webhdfs://{self.environment['CLUSTER_WEBHDFS']}/open/images"
        self.call("data", "put", self.images, url, HADOOP_TOKEN=token)
        self.call("data", "verify", self.images, url, HADOOP_TOKEN=token)
        owner = self.servers.webhdfs("GETFILESTATUS", "/open/images")["FileStatus"]["owner"]
        self.assertNotEqual(owner, self.environment["CLUSTER_USER"], "user.name was sent beside the token")
        done = self.call("data", "put", self.images, f"webhdfs://{self.environment['CLUSTER_WEBHDFS']}/closed", code=1, HADOOP_TOKEN=token)
        self.assertIn("permission denied for the user of HADOOP_TOKEN", done.stderr)
