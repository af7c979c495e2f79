"""The programs of the cluster: fetched from Maven Central once, kept in a cache that several processes may use at the same time."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
MINIMUM_JAVA = 17


class Unavailable(Exception):
    """This machine can't run the servers; the message says what is missing."""


def java_home():
    """The folder of a Java that is new enough."""
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else shutil.which("java")
    if not java or not os.access(java, os.X_OK):
        raise Unavailable(f"no Java ({java or 'java is not on PATH'})")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=120, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if not version or int(version[1]) < MINIMUM_JAVA:
        raise Unavailable(f"Java {MINIMUM_JAVA} or newer is needed, '{java}' is {version[1] if version else 'of no known version'}")
    return str(pathlib.Path(os.path.realpath(java)).parent.parent)


def cache_folder():
    root = os.environ.get("BRAINMRI_CLUSTER_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "brainmri-cluster")
    return pathlib.Path(root)


def key():
    """Of all that goes into the cache: another version is another folder."""
    digest = hashlib.sha256()
    for path in [HERE / "pom.xml", HERE / "fetch.py", *sorted(HERE.glob("*/bin/*"))]:
        digest.update(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def locked(path):
    with open(path, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def jars(profile, folder):
    maven = shutil.which("mvn")
    if not maven:
        raise Unavailable("no Maven (mvn is not on PATH)")
    command = [maven, "-B", "-q", "-f", str(HERE / "pom.xml"), f"-P{profile}", "dependency:copy-dependencies", "-DincludeScope=runtime",
               f"-DoutputDirectory={folder}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800, check=False)
    if done.returncode:
        raise Unavailable(f"Maven could not fetch the {profile} jars:\n" + "\n".join(done.stdout.splitlines()[-8:]))


def fill(folder):
    """Lays out folder/hadoop and folder/spark."""
    hadoop, spark = folder / "hadoop", folder / "spark"
    jars("hadoop", hadoop / "lib")
    tests = list((hadoop / "lib").glob("hadoop-hdfs-*-tests.jar"))
    if len(tests) != 1:
        raise Unavailable("the Hadoop jars came without their web pages (hadoop-hdfs-*-tests.jar)")
    with zipfile.ZipFile(tests[0]) as archive:
        archive.extractall(hadoop, [name for name in archive.namelist() if name.startswith("webapps/")])
    tests[0].unlink()
    jars("spark", spark / "jars")
    for name, home in (("hadoop", hadoop), ("spark", spark)):
        shutil.copytree(HERE / name / "bin", home / "bin")
    version = next((spark / "jars").glob("spark-core_*.jar")).stem.rsplit("-", 1)[1]
    (spark / "RELEASE").write_text(f"Spark {version} from Maven Central\n", encoding="utf-8")


def programs(say=lambda text: None):
    """The folder with hadoop/ and spark/ in it; fetches them when they aren't there yet."""
    java_home()
    root = cache_folder()
    root.mkdir(parents=True, exist_ok=True)
    folder = root / key()
    if folder.is_dir():
        return folder
    with locked(root / "lock"):
        if folder.is_dir():
            return folder
        # What a killed fetch left; nobody else can be at work here under the lock.
        for old in root.glob("part-*"):
            shutil.rmtree(old, ignore_errors=True)
        say(f"Fetching Hadoop and Spark from Maven Central into {folder} (some 300 MB, once)")
        part = pathlib.Path(tempfile.mkdtemp(prefix="part-", dir=root))
        try:
            fill(part)
            part.chmod(0o755)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder
