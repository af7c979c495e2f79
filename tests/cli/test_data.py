"""brainmri data between local folders, and packs that other programs read and write. HDFS itself is in tests/servers."""
import unittest
import zipfile

from program import Case


class Data(Case):
    def files(self, folder):
        root = self.folder / folder
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")}

    def test_put_and_verify(self):
        first = self.json("data", "put", "data", "copy")
        self.assertEqual((first["sent"], first["present"], first["verified"]), (48, 0, 48))
        self.assertEqual(first["classes"], dict.fromkeys(["glioma", "meningioma", "notumor", "pituitary"], 12))
        self.assertEqual(self.files("copy"), self.files("data"))
        again = self.call("data", "put", "data", "copy")
        self.assertIn("✓ Data found at: copy", again.stdout)
        self.assertIn("nothing to transfer", again.stdout)
        self.assertEqual(self.json("data", "verify", "data", "copy")["equal"], 48)
        victims = sorted((self.folder / "copy").rglob("*.jpg"))[:2]
        victims[0].write_bytes(victims[0].read_bytes()[:-1] + b"x")
        victims[1].unlink()
        wrong = self.call("data", "verify", "data", "copy", code=1)
        self.assertIn("other content", wrong.stdout)
        self.assertIn("missing", wrong.stdout)
        self.assertIn("brainmri data put data copy", wrong.stderr)
        self.assertEqual(self.json("data", "put", "data", "copy")["sent"], 2)
        self.assertEqual(self.files("copy"), self.files("data"))

    def test_ls(self):
        shown = self.call("data", "ls", "data").stdout
        self.assertIn("glioma/", shown)
        self.assertRegex(shown, r"(?m)^drwx")
        inside = self.json("data", "ls", "data/glioma")
        self.assertEqual(len(inside["entries"]), 12)
        self.assertEqual(inside["files"], 12)

    def test_pack_is_an_ordinary_zip(self):
        self.call("data", "pack", "data", "packs/set.zip")
        with zipfile.ZipFile(self.folder / "packs/set.zip") as pack:
            self.assertIsNone(pack.testzip())
            self.assertEqual({one.filename: pack.read(one) for one in pack.infolist()}, self.files("data"))
            self.assertTrue(all(one.compress_type == zipfile.ZIP_STORED for one in pack.infolist()))
        self.assertEqual([one.name for one in (self.folder / "packs").iterdir()], ["set.zip"])
        # The same data set, whatever it lies in.
        whole = self.result(self.json("explore", "data"), "data")
        packed = self.result(self.json("explore", "packs/set.zip"), "data")
        self.assertEqual(packed["hash"], whole["hash"])
        self.assertEqual(self.json("data", "verify", "data", "packs/set.zip")["equal"], 48)
        self.call("data", "get", "packs/set.zip", "back")
        self.assertEqual(self.files("back"), self.files("data"))
        first = self.read("packs/set.zip")
        self.call("data", "pack", "data", "packs/set.zip")
        self.assertEqual(self.read("packs/set.zip"), first)

    def test_pack_of_another_program(self):
        with zipfile.ZipFile(self.folder / "other.zip", "w", zipfile.ZIP_STORED) as pack:
            pack.writestr("glioma/", b"")
            for name, content in self.files("data").items():
                pack.writestr(name, content)
            pack.comment = b"made elsewhere"
        self.assertEqual(self.json("data", "verify", "data", "other.zip")["equal"], 48)
        with zipfile.ZipFile(self.folder / "small.zip", "w", zipfile.ZIP_DEFLATED) as pack:
            pack.writestr("a/x", b"x" * 1000)
        self.assertIn("zip -0", self.call("explore", "small.zip", code=1).stderr)
        (self.folder / "cut.zip").write_bytes((self.folder / "other.zip").read_bytes()[:-100])
        self.assertIn("no pack", self.call("explore", "cut.zip", code=1).stderr)

    def test_wrong_usage(self):
        self.assertIn("did you mean 'put'", self.call("data", "pud", "a", "b", code=2).stderr)
        self.assertIn("FOLDER HDFS_URL", self.call("data", "put", "data", code=2).stderr)
        self.assertIn(".zip", self.call("data", "pack", "data", "set.tar", code=2).stderr)
        self.assertIn("1 to 64", self.call("data", "put", "data", "x", "--transfers", "65", code=2).stderr)
        self.assertIn("HOST:PORT", self.call("data", "ls", "hdfs://host:1/x", "--webhdfs", "a b/c", code=2).stderr)
        self.assertIn("HADOOP_CONF_DIR", self.call("data", "ls", "hdfs:///x", code=2, env={"PATH": "/usr/bin"}).stderr)
        self.assertIn("s3://", self.call("data", "ls", "s3://x", code=1).stderr)

    def test_no_server(self):
        error = self.call("data", "ls", "hdfs://127.0.0.1:9000/x", "--webhdfs", "127.0.0.1:1", code=1).stderr
        self.assertIn("connection refused", error)
        self.assertIn("start-dfs.sh", error)


if __name__ == "__main__":
    unittest.main()
