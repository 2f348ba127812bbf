"""What ELAN asks of an `.eaf` (formats 2.8 and 3.0): the rules of its schema in words of our own, and those that a schema
cannot say."""

import io
from collections import Counter
from itertools import pairwise
from xml.etree import ElementTree

import xmlschema

_RULES = """<?xml version="1.0" encoding="UTF-8"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">
  <xs:element name="ANNOTATION_DOCUMENT">
    <xs:complexType>
      <xs:sequence>
        <xs:element name="LICENSE" minOccurs="0" maxOccurs="unbounded" type="worded"/>
        <xs:element name="HEADER" type="header"/>
        <xs:element name="TIME_ORDER" type="times"/>
        <xs:element name="TIER" minOccurs="0" maxOccurs="unbounded" type="tier"/>
        <xs:element name="LINGUISTIC_TYPE" minOccurs="0" maxOccurs="unbounded" type="kind"/>
        <xs:element name="LOCALE" minOccurs="0" maxOccurs="unbounded" type="locale"/>
        <xs:element name="LANGUAGE" minOccurs="0" maxOccurs="unbounded" type="language"/>
        <xs:element name="CONSTRAINT" minOccurs="0" maxOccurs="unbounded" type="constraint"/>
      </xs:sequence>
      <xs:attribute name="AUTHOR" type="xs:string" use="required"/>
      <xs:attribute name="DATE" type="xs:dateTime" use="required"/>
      <xs:attribute name="VERSION" type="xs:string" use="required"/>
      <xs:attribute name="FORMAT" type="version"/>
    </xs:complexType>
    <xs:key name="tiers"><xs:selector xpath="TIER"/><xs:field xpath="@TIER_ID"/></xs:key>
    <xs:key name="kinds"><xs:selector xpath="LINGUISTIC_TYPE"/><xs:field xpath="@LINGUISTIC_TYPE_ID"/></xs:key>
    <xs:key name="slots"><xs:selector xpath="TIME_ORDER/TIME_SLOT"/><xs:field xpath="@TIME_SLOT_ID"/></xs:key>
    <xs:keyref name="kindOfTier" refer="kinds"><xs:selector xpath="TIER"/><xs:field xpath="@LINGUISTIC_TYPE_REF"/></xs:keyref>
    <xs:keyref name="parentOfTier" refer="tiers"><xs:selector xpath="TIER"/><xs:field xpath="@PARENT_REF"/></xs:keyref>
    <xs:keyref name="begin" refer="slots">
      <xs:selector xpath="TIER/ANNOTATION/ALIGNABLE_ANNOTATION"/><xs:field xpath="@TIME_SLOT_REF1"/>
    </xs:keyref>
    <xs:keyref name="end" refer="slots">
      <xs:selector xpath="TIER/ANNOTATION/ALIGNABLE_ANNOTATION"/><xs:field xpath="@TIME_SLOT_REF2"/>
    </xs:keyref>
  </xs:element>
  <xs:simpleType name="version"><xs:restriction base="xs:string">
    <xs:enumeration value="2.8"/><xs:enumeration value="3.0"/>
  </xs:restriction></xs:simpleType>
  <xs:complexType name="worded"><xs:simpleContent><xs:extension base="xs:string">
    <xs:attribute name="LICENSE_URL" type="xs:anyURI"/>
  </xs:extension></xs:simpleContent></xs:complexType>
  <xs:complexType name="header">
    <xs:sequence>
      <xs:element name="MEDIA_DESCRIPTOR" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
        <xs:attribute name="MEDIA_URL" type="xs:anyURI" use="required"/>
        <xs:attribute name="RELATIVE_MEDIA_URL" type="xs:anyURI"/>
        <xs:attribute name="MIME_TYPE" type="xs:string" use="required"/>
        <xs:attribute name="TIME_ORIGIN" type="xs:long"/>
        <xs:attribute name="EXTRACTED_FROM" type="xs:anyURI"/>
      </xs:complexType></xs:element>
      <xs:element name="PROPERTY" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:simpleContent>
        <xs:extension base="xs:string"><xs:attribute name="NAME" type="xs:string"/></xs:extension>
      </xs:simpleContent></xs:complexType></xs:element>
    </xs:sequence>
    <xs:attribute name="MEDIA_FILE" type="xs:string"/>
    <xs:attribute name="TIME_UNITS"><xs:simpleType><xs:restriction base="xs:string">
      <xs:enumeration value="milliseconds"/><xs:enumeration value="NTSC-frames"/><xs:enumeration value="PAL-frames"/>
    </xs:restriction></xs:simpleType></xs:attribute>
  </xs:complexType>
  <xs:complexType name="times"><xs:sequence>
    <xs:element name="TIME_SLOT" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
      <xs:attribute name="TIME_SLOT_ID" type="xs:ID" use="required"/>
      <xs:attribute name="TIME_VALUE" type="xs:unsignedInt"/>
    </xs:complexType></xs:element>
  </xs:sequence></xs:complexType>
  <xs:complexType name="tier">
    <xs:sequence>
      <xs:element name="ANNOTATION" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:choice>
        <xs:element name="ALIGNABLE_ANNOTATION"><xs:complexType>
          <xs:sequence><xs:element name="ANNOTATION_VALUE" type="xs:string"/></xs:sequence>
          <xs:attribute name="ANNOTATION_ID" type="xs:ID" use="required"/>
          <xs:attribute name="TIME_SLOT_REF1" type="xs:IDREF" use="required"/>
          <xs:attribute name="TIME_SLOT_REF2" type="xs:IDREF" use="required"/>
          <xs:attribute name="SVG_REF" type="xs:string"/>
        </xs:complexType></xs:element>
        <xs:element name="REF_ANNOTATION"><xs:complexType>
          <xs:sequence><xs:element name="ANNOTATION_VALUE" type="xs:string"/></xs:sequence>
          <xs:attribute name="ANNOTATION_ID" type="xs:ID" use="required"/>
          <xs:attribute name="ANNOTATION_REF" type="xs:IDREF" use="required"/>
          <xs:attribute name="PREVIOUS_ANNOTATION" type="xs:IDREF"/>
        </xs:complexType></xs:element>
      </xs:choice></xs:complexType></xs:element>
    </xs:sequence>
    <xs:attribute name="TIER_ID" type="xs:string" use="required"/>
    <xs:attribute name="PARTICIPANT" type="xs:string"/>
    <xs:attribute name="ANNOTATOR" type="xs:string"/>
    <xs:attribute name="LINGUISTIC_TYPE_REF" type="xs:string" use="required"/>
    <xs:attribute name="DEFAULT_LOCALE" type="xs:IDREF"/>
    <xs:attribute name="PARENT_REF" type="xs:string"/>
    <xs:attribute name="LANG_REF" type="xs:IDREF"/>
  </xs:complexType>
  <xs:complexType name="kind">
    <xs:attribute name="LINGUISTIC_TYPE_ID" type="xs:string" use="required"/>
    <xs:attribute name="TIME_ALIGNABLE" type="xs:boolean"/>
    <xs:attribute name="CONSTRAINTS" type="xs:IDREF"/>
    <xs:attribute name="GRAPHIC_REFERENCES" type="xs:boolean"/>
    <xs:attribute name="CONTROLLED_VOCABULARY_REF" type="xs:string"/>
  </xs:complexType>
  <xs:complexType name="locale">
    <xs:attribute name="LANGUAGE_CODE" type="xs:ID" use="required"/>
    <xs:attribute name="COUNTRY_CODE" type="xs:string"/>
    <xs:attribute name="VARIANT" type="xs:string"/>
  </xs:complexType>
  <xs:complexType name="language">
    <xs:attribute name="LANG_ID" type="xs:ID" use="required"/>
    <xs:attribute name="LANG_DEF" type="xs:string"/>
    <xs:attribute name="LANG_LABEL" type="xs:string"/>
  </xs:complexType>
  <xs:complexType name="constraint">
    <xs:attribute name="STEREOTYPE" type="xs:ID" use="required"/>
    <xs:attribute name="DESCRIPTION" type="xs:string"/>
  </xs:complexType>
</xs:schema>
"""
_SCHEMA = xmlschema.XMLSchema(io.StringIO(_RULES))


def eaf_faults(data: bytes) -> list[str]:
    """What ELAN would not take: against the schema, slots out of their order, annotations without a length or over one
    another in a tier, tiers with nothing in them."""
    faults = [f"{error.path}: {error.reason}" for error in _SCHEMA.iter_errors(io.BytesIO(data))]
    root = ElementTree.fromstring(data)
    slots = {one.attrib["TIME_SLOT_ID"]: int(one.attrib["TIME_VALUE"]) for one in root.iter("TIME_SLOT")}
    if list(slots.values()) != sorted(slots.values()):
        faults.append("time slots are not in the order of their times")
    used = Counter(
        one.attrib[name] for one in root.iter("ALIGNABLE_ANNOTATION") for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")
    )
    if set(used) != set(slots):
        faults.append("there are slots that nothing uses")
    for tier in root.iter("TIER"):
        name = tier.attrib["TIER_ID"]
        spans = sorted(
            (slots[one.attrib["TIME_SLOT_REF1"]], slots[one.attrib["TIME_SLOT_REF2"]])
            for one in tier.iter("ALIGNABLE_ANNOTATION")
        )
        if not spans:
            faults.append(f"{name} is empty")
        faults += [f"{name}: {span} has no length" for span in spans if span[0] >= span[1]]
        faults += [f"{name}: {a} and {b} overlap" for a, b in pairwise(spans) if a[1] > b[0]]
    return faults
