# Packaging and documentation; the Makefile includes it.
DIST ?= dist
ARCH ?= $(shell uname -m)
# Reproducible: every time in a package is that of the commit.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y VERSION)
NAME := jacamar-ci-$(VERSION)
RPMBUILD = rpmbuild --quiet --nodeps --target $(ARCH) --define '_topdir $(abspath $(DIST))/rpmbuild' --define '_rpmdir $(abspath $(DIST))' \
	--define '_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' --define 'version_of_source $(VERSION)' --define 'commit $(COMMIT)' -bb

.PHONY: dist rpm rpm-container test-install

# The sources with the modules that they need, as DIST/jacamar-ci-VERSION.tar.gz.
dist:
	rm -rf '$(DIST)/$(NAME)' && mkdir -p '$(DIST)/$(NAME)'
	git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- --ignore-failed-read 2>/dev/null | tar --extract --directory '$(DIST)/$(NAME)'
	cd '$(DIST)/$(NAME)' && go mod vendor
	tar --create --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw,a-s --directory '$(DIST)' '$(NAME)' | gzip -n >'$(DIST)/$(NAME).tar.gz'
	rm -rf '$(DIST)/$(NAME)'

rpm: dist ## build both RPMs in DIST, for ARCH (x86_64, aarch64, ppc64le)
	mkdir -p '$(DIST)/rpmbuild/SOURCES' && cp '$(DIST)/$(NAME).tar.gz' '$(DIST)/rpmbuild/SOURCES/'
	$(RPMBUILD) rpm/jacamar-ci.spec
	$(RPMBUILD) --with caps rpm/jacamar-ci.spec
	rm -rf '$(DIST)/rpmbuild'
	rpm/verify package rpm/jacamar-ci.files '$(DIST)/$(NAME)-1.$(ARCH).rpm'
	rpm/verify package rpm/jacamar-ci-caps.files '$(DIST)/jacamar-ci-caps-$(VERSION)-1.$(ARCH).rpm'

# make rpm in podman or docker, in the image IMAGE.
rpm-container:
	$(or $(shell command -v podman docker | head -1),$(error neither podman nor docker is installed)) run --rm -v '$(CURDIR):/src' -w /src '$(or $(IMAGE),docker.io/library/golang:1.26)' \
	  sh -c 'apt-get update -q && apt-get install -yq --no-install-recommends rpm && git config --global --add safe.directory /src && make rpm'

test-install: ## build the packages, install them into empty roots, run jobs with them
	@$(SETUP)
	@$(GOTEST) -v ./test/suites/install | $(TALLY)

.PHONY: manual
manual: ## generate manual pages, completions and reference pages in docs
	go test ./cmd/jacamar ./cmd/jacamar-auth ./cmd/jacamar-admin -run '^TestManual$$' -update-manual
	go test ./test/repo/docs -run '^TestConfiguration$$' -update

.PHONY: docs
docs: ## build the documentation site in DIST/site (needs mkdocs-material)
	@command -v mkdocs >/dev/null || { echo 'make docs: mkdocs is not installed (apt-get install mkdocs mkdocs-material)' >&2; exit 1; }
	mkdocs build --quiet --clean --strict --site-dir '$(abspath $(DIST))/site'

# The newest version of nfpm whose modules the module proxy has.
NFPM ?= go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.41.0
DEBARCH = $(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(patsubst ppc64le,ppc64el,$(ARCH))))
STAGE = $(abspath $(DIST))/stage

.PHONY: stage deb tarball sbom release
stage:
	rm -rf '$(STAGE)'
	GOARCH=$(patsubst ppc64el,ppc64le,$(DEBARCH)) $(MAKE) --no-print-directory install DESTDIR='$(STAGE)' PREFIX=/opt/jacamar

deb: stage
	STAGE='$(STAGE)' DEBARCH=$(DEBARCH) VERSION=$(VERSION) \
	  $(NFPM) package --config rpm/nfpm.yaml --packager deb --target '$(DIST)/'

# The installed tree.
tarball: stage
	tar --create --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner --directory '$(STAGE)/opt' jacamar | gzip -n >'$(DIST)/$(NAME)-linux-$(ARCH).tar.gz'

# The bill of materials, in CycloneDX.
sbom: stage
	go run ./rpm/sbom $(VERSION) $(addprefix '$(STAGE)'/opt/jacamar/bin/,jacamar-auth jacamar jacamar-admin jacamar-keys jacamar-noauth) >'$(DIST)/$(NAME).cdx.json'

release: rpm deb tarball sbom ## build all packages, the bill of materials and checksums in DIST
	rm -rf '$(STAGE)'
	cd '$(DIST)' && sha256sum $$(ls *.rpm *.deb *.tar.gz *.cdx.json) >SHA256SUMS
